// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! The synchronous client.

use std::{
    collections::HashMap,
    io,
    thread::{self, JoinHandle},
};

use ttrpc::{context::Context, Client};

use crate::{
    command::{call, show_answers, show_item, show_sight, shown, Command},
    server::text,
    synchronous::calls_ttrpc::CallsClient,
    Outcome,
};

pub fn call() -> Outcome {
    let mut state = State::default();
    for line in io::stdin().lines() {
        println!("{}", state.answer(&line?));
    }
    Ok(())
}

#[derive(Default)]
struct State {
    client: Option<Client>,
    /// What runs behind, by its name.
    behind: HashMap<String, JoinHandle<String>>,
}

impl State {
    fn answer(&mut self, line: &str) -> String {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        match name {
            "connect" => {
                self.client = None;
                shown(Client::connect(rest), |client| {
                    let _ = self.client.insert(client);
                    "connected".into()
                })
            }
            "disconnect" => {
                self.client = None;
                "disconnected".into()
            }
            "start" => {
                let (name, line) = rest.split_once(' ').expect("start has a name and a command");
                let (client, command) = (self.client(), Command::parse(line));
                self.behind.insert(name.into(), thread::spawn(move || run(client, command)));
                "started".into()
            }
            "finish" => self.behind.remove(rest).expect("it was started").join().expect("it does not panic"),
            _ => run(self.client(), Command::parse(line)),
        }
    }

    fn client(&self) -> Client {
        self.client.clone().expect("connect comes first")
    }
}

fn run(client: Client, command: Command) -> String {
    match command.name.as_str() {
        "many" => many(client, command),
        "request" => shown(client.request(command.request()), |_| "answered".into()),
        _ => call!(CallsClient::new(client), command),
    }
}

/// Makes calls in several threads at the same time.
fn many(client: Client, command: Command) -> String {
    let (threads, calls) = command.counts();
    let threads: Vec<_> = (0..threads)
        .map(|thread| {
            let client = CallsClient::new(client.clone());
            thread::spawn(move || {
                let answer = |call| {
                    let sent = format!("{thread}.{call}");
                    let answer = client.echo(Context::default(), &text(&sent));
                    (shown(answer, show_item), format!("{sent:?}"))
                };
                (0..calls).map(answer).collect::<Vec<_>>()
            })
        })
        .collect();
    show_answers(threads.into_iter().flat_map(|thread| thread.join().expect("it does not panic")).collect())
}
