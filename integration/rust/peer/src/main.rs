// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! One side of a connection, made with ttrpc-rust: a server, until its standard
//! input ends, or a client, which reads commands there and answers each with a
//! line.
//!
//!     peer KIND serve address
//!     peer KIND call
//!
//! The kind is `sync`, or `async` and the number of threads that the runtime has:
//! `async-one` or `async-many`.

mod asynchronous {
    include!(concat!(env!("OUT_DIR"), "/asynchronous/mod.rs"));
}

mod synchronous {
    pub use crate::asynchronous::calls;
    include!(concat!(env!("OUT_DIR"), "/synchronous/mod.rs"));
}

mod client;
mod client_sync;
mod command;
mod gates;
mod server;
mod server_sync;

use std::{env, error::Error, io, process::ExitCode};

use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["sync", "serve", address] => server_sync::serve(address),
        ["sync", "call"] => client_sync::call(),
        [kind, "serve", address] => runtime(kind).and_then(|runtime| server::serve(runtime, address)),
        [kind, "call"] => runtime(kind).and_then(client::call),
        _ => Err("usage: peer sync|async-one|async-many serve address|call".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("peer: {err}");
            ExitCode::FAILURE
        }
    }
}

fn runtime(kind: &str) -> Result<Runtime, Box<dyn Error>> {
    let mut builder = match kind {
        "async-one" => Builder::new_current_thread(),
        "async-many" => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(4);
            builder
        }
        _ => return Err(format!("there is no kind {kind}").into()),
    };
    Ok(builder.enable_all().build()?)
}

/// Says that the server serves, and waits for the end of the standard input.
fn serving() -> io::Result<()> {
    println!("serving");
    io::copy(&mut io::stdin(), &mut io::sink()).map(|_| ())
}

/// What becomes of a program.
type Outcome = Result<(), Box<dyn Error>>;
