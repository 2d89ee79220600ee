// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! Generates the messages, and the code of both kinds of services.

use std::{env, fs, io, path::Path};

use ttrpc_codegen::{Codegen, Customize};

/// The root of the repository, from the directory of each package.
const ROOT: &str = "../../../..";
const CALLS: &str = "integration/rust/calls/calls.proto";
const STREAMS: &str = "integration/rust/calls/streams.proto";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=../src/build.rs");
    for proto in [CALLS, STREAMS] {
        println!("cargo:rerun-if-changed={ROOT}/{proto}");
    }
    let dir = env::var("OUT_DIR").expect("Cargo sets OUT_DIR");
    let dir = Path::new(&dir);

    let asynchronous = dir.join("asynchronous");
    fs::create_dir_all(&asynchronous)?;
    codegen(&asynchronous, &[CALLS, STREAMS])
        .rust_protobuf() // the messages, for both
        .customize(Customize { async_all: true, ..Default::default() })
        .run()?;
    let modules = "pub mod calls; pub mod calls_ttrpc; pub mod streams_ttrpc;";
    fs::write(asynchronous.join("mod.rs"), modules)?;

    let synchronous = dir.join("synchronous");
    fs::create_dir_all(&synchronous)?;
    codegen(&synchronous, &[CALLS]).run()?; // there are no streams
    fs::write(synchronous.join("mod.rs"), "pub mod calls_ttrpc;")
}

fn codegen(dir: &Path, protos: &[&str]) -> Codegen {
    let mut codegen = Codegen::new();
    codegen.out_dir(dir).include(ROOT).inputs(protos.iter().map(|proto| format!("{ROOT}/{proto}")));
    codegen
}
