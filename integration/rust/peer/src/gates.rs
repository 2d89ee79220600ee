// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! The handlers that wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

/// How far the handler of a Wait has come.
#[derive(PartialEq, PartialOrd)]
enum Stage {
    Unknown,
    Started,
    Released,
    Ended(&'static str),
}

type Gate = Arc<watch::Sender<Stage>>;

/// The handlers that wait, by the texts that they have been called with.
#[derive(Default)]
pub struct Gates(Mutex<HashMap<String, Gate>>);

impl Gates {
    fn gate(&self, text: &str) -> Gate {
        let mut gates = self.0.lock().unwrap();
        let gate = gates.entry(text.to_string());
        gate.or_insert_with(|| Arc::new(watch::channel(Stage::Unknown).0)).clone()
    }

    pub async fn wait(&self, text: &str) {
        let mut handler = Handler { gate: self.gate(text), end: "dropped" };
        handler.gate.send_replace(Stage::Started);
        reached(&handler.gate, Stage::Released).await;
        handler.end = "released";
    }

    pub async fn started(&self, text: &str) {
        reached(&self.gate(text), Stage::Started).await;
    }

    pub async fn release(&self, text: &str) {
        let gate = self.gate(text);
        reached(&gate, Stage::Started).await;
        gate.send_if_modified(|stage| {
            let release = *stage == Stage::Started;
            if release {
                *stage = Stage::Released;
            }
            release
        });
    }

    pub async fn ended(&self, text: &str) -> &'static str {
        let gate = self.gate(text);
        reached(&gate, Stage::Ended("")).await;
        let Stage::Ended(end) = *gate.borrow() else { unreachable!("no stage follows the end") };
        end
    }
}

async fn reached(gate: &Gate, stage: Stage) {
    // That fails when the sender is dropped, which gate holds.
    let _ = gate.subscribe().wait_for(|now| *now >= stage).await;
}

/// A handler that waits. It may be dropped while it does.
struct Handler {
    gate: Gate,
    end: &'static str,
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.gate.send_replace(Stage::Ended(self.end));
    }
}
