// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! The asynchronous client.

use std::{collections::HashMap, io, thread};

use protobuf::Message;
use tokio::{runtime::Runtime, sync::mpsc, task::JoinHandle};
use ttrpc::{
    context::Context,
    r#async::{Client, ClientStream, ClientStreamReceiver, ClientStreamSender},
    Error, Result,
};

use crate::{
    asynchronous::{
        calls::{Failure, Item},
        calls_ttrpc::CallsClient,
        streams_ttrpc::StreamsClient,
    },
    command::{call, show_answers, show_item, show_sight, shown, Command},
    server::text,
    Outcome,
};

pub fn call(runtime: Runtime) -> Outcome {
    // Lines are read elsewhere: a runtime of one thread runs only in block_on.
    let (lines, mut read) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines() {
            let _ = lines.send(line);
        }
    });
    runtime.block_on(async {
        let mut state = State::default();
        while let Some(line) = read.recv().await {
            println!("{}", state.answer(&line?).await);
        }
        Ok(())
    })
}

#[derive(Default)]
struct State {
    client: Option<Client>,
    /// What runs behind, by its name.
    behind: HashMap<String, JoinHandle<String>>,
}

impl State {
    async fn answer(&mut self, line: &str) -> String {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        match name {
            "connect" => {
                self.client = None;
                shown(connect(rest).await, |client| {
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
                self.behind.insert(name.into(), tokio::spawn(run(self.client(), Command::parse(line))));
                "started".into()
            }
            "finish" => self.behind.remove(rest).expect("it was started").await.expect("it does not panic"),
            "abort" => {
                let task = self.behind.remove(rest).expect("it was started");
                task.abort();
                let _ = task.await; // it was aborted
                "aborted".into()
            }
            _ => run(self.client(), Command::parse(line)).await,
        }
    }

    fn client(&self) -> Client {
        self.client.clone().expect("connect comes first")
    }
}

async fn connect(address: &str) -> Result<Client> {
    #[cfg(feature = "connects-at-once")]
    return Client::connect(address);
    #[cfg(not(feature = "connects-at-once"))]
    return Client::connect(address).await;
}

async fn run(client: Client, command: Command) -> String {
    let streams = StreamsClient::new(client.clone());
    let ctx = command.ctx.clone();
    match command.name.as_str() {
        "many" => many(client, command).await,
        "request" => shown(client.request(command.request()).await, |_| "answered".into()),
        "open" => {
            let stream = client.new_stream(command.request(), false, true).await;
            down(stream.map(|stream| ClientStreamReceiver::new(stream, client)), show_item).await
        }

        "join" => shown(up(streams.join(ctx).await, command.items()).await, show_item),
        "see-join" => shown(up(streams.see_join(ctx).await, command.items()).await, show_sight),
        "fail-join" => shown(up(streams.fail_join(ctx).await, vec![command.failure()]).await, show_item),

        "split" => down(streams.split(ctx, &command.item()).await, show_item).await,
        "see-split" => down(streams.see_split(ctx, &command.item()).await, show_sight).await,
        "fail-split" => down(streams.fail_split(ctx, &command.failure()).await, show_item).await,
        "fill-stream" => down(streams.fill(ctx, &command.size()).await, show_item).await,
        "wait-stream" => down(streams.wait(ctx, &command.item()).await, show_item).await,

        "turns" => turns(streams.turns(ctx).await, command.items(), show_item).await,
        "see-turns" => turns(streams.see_turns(ctx).await, command.items(), show_sight).await,
        "fail-turns" => fail_turns(streams.fail_turns(ctx).await, command.failure()).await,
        "pour" => pour(streams.turns(ctx).await, command.size().bytes).await,

        _ => call!(CallsClient::new(client), command, await),
    }
}

/// Makes calls in several tasks at the same time.
async fn many(client: Client, command: Command) -> String {
    let (tasks, calls) = command.counts();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let calls_of_task = (0..calls).map(move |call| format!("{task}.{call}"));
            let client = CallsClient::new(client.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for sent in calls_of_task {
                    let answer = client.echo(Context::default(), &text(&sent)).await;
                    answers.push((shown(answer, show_item), format!("{sent:?}")));
                }
                answers
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.extend(task.await.expect("it does not panic"));
    }
    show_answers(answers)
}

/// Sends messages, and receives one.
async fn up<Q: Message, P: Message>(stream: Result<ClientStreamSender<Q, P>>, messages: Vec<Q>) -> Result<P> {
    let mut stream = stream?;
    for message in messages {
        stream.send(&message).await?;
    }
    stream.close_and_recv().await
}

/// Receives messages until the end.
async fn down<P: Message>(stream: Result<ClientStreamReceiver<P>>, show: fn(P) -> String) -> String {
    let mut said = Vec::new();
    let end = async {
        let mut stream = stream?;
        while let Some(message) = stream.recv().await? {
            said.push(show(message));
        }
        Ok(())
    };
    let end = shown(end.await, |()| "end".into());
    said.push(end);
    said.join(" ")
}

/// Sends messages, and receives one after each.
async fn turns<Q: Message, P: Message>(
    stream: Result<ClientStream<Q, P>>,
    messages: Vec<Q>,
    show: fn(P) -> String,
) -> String {
    let mut said = Vec::new();
    let end = async {
        let mut stream = stream?;
        for message in messages {
            stream.send(&message).await?;
            said.push(show(stream.recv().await?));
        }
        stream.close_send().await?;
        loop {
            match stream.recv().await {
                Ok(message) => said.push(show(message)),
                Err(Error::Eof) => return Ok(()),
                Err(err) => return Err(err),
            }
        }
    };
    let end = shown(end.await, |()| "end".into());
    said.push(end);
    said.join(" ")
}

/// Sends a message, receives until there is an error, and sends once more.
async fn fail_turns(stream: Result<ClientStream<Failure, Item>>, failure: Failure) -> String {
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(err) => return shown(Err(err), |()| String::new()),
    };
    let mut said = vec![shown(stream.send(&failure).await, |()| "sent".into())];
    loop {
        let received = stream.recv().await;
        let failed = received.is_err();
        said.push(shown(received, show_item));
        if failed {
            break;
        }
    }
    said.push(shown(stream.send(&failure).await, |()| "sent".into()));
    said.join(" ")
}

/// Sends and receives messages at the same time.
async fn pour(stream: Result<ClientStream<Item, Item>>, count: u32) -> String {
    let (sender, mut receiver) = match stream {
        Ok(stream) => stream.split(),
        Err(err) => return shown(Err(err), |()| String::new()),
    };
    let sent = tokio::spawn(async move {
        for i in 0..count {
            sender.send(&text(&i.to_string())).await?;
        }
        sender.close_send().await
    });
    let mut received = 0;
    let end = loop {
        match receiver.recv().await {
            Ok(item) if item.text == received.to_string() => received += 1,
            Ok(item) => break format!("{:?} out of turn", item.text),
            Err(Error::Eof) => break "end".into(),
            Err(err) => break shown(Err(err), |()| String::new()),
        }
    };
    let sent = shown(sent.await.expect("it does not panic"), |()| "sent".into());
    format!("{sent} {received} {end}")
}
