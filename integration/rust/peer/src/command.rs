// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! The commands of a client, and the lines that answer them.

use protobuf::Message;
use ttrpc::{context::Context, Error, Request, Result};

use crate::{
    asynchronous::calls::{Failure, Item, Sight, Size},
    server::{items, text},
};

/// A command is a line: a name, an argument that may be left out, and options:
/// `timeout=`, in milliseconds, and `md=key:value`, for each value of metadata.
#[derive(Clone, Default)]
pub struct Command {
    pub name: String,
    pub arg: String,
    pub ctx: Context,
}

impl Command {
    pub fn parse(line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command { name: words.next().unwrap_or_default().into(), ..Default::default() };
        for word in words {
            if let Some(ms) = word.strip_prefix("timeout=") {
                command.ctx.timeout_nano = 1_000_000 * ms.parse::<i64>().expect("a timeout is a number");
            } else if let Some(pair) = word.strip_prefix("md=") {
                let (key, value) = pair.split_once(':').expect("metadata has a key and a value");
                command.ctx.add(key.into(), value.into());
            } else {
                command.arg = word.into();
            }
        }
        command
    }

    pub fn item(&self) -> Item {
        text(&self.arg)
    }

    pub fn items(&self) -> Vec<Item> {
        items(&self.arg)
    }

    pub fn size(&self) -> Size {
        Size { bytes: self.arg.parse().expect("a size is a number"), ..Default::default() }
    }

    /// The code, the text, and the detail if there is to be one.
    pub fn failure(&self) -> Failure {
        let mut parts = self.arg.splitn(3, ':');
        let mut part = || parts.next().unwrap_or_default();
        Failure {
            code: part().parse().expect("a code is a number"),
            text: part().into(),
            detail: part().into(),
            ..Default::default()
        }
    }

    /// Two numbers: of tasks, and of calls by each.
    pub fn counts(&self) -> (usize, usize) {
        let (tasks, calls) = self.arg.split_once('x').expect("there are two counts");
        (tasks.parse().expect("a count is a number"), calls.parse().expect("a count is a number"))
    }

    /// A request of a method that no stub has.
    pub fn request(&self) -> Request {
        let (service, method) = self.arg.split_once('/').expect("a method has a service");
        Request { service: service.into(), method: method.into(), ..Default::default() }
    }
}

/// A result as a word or a few.
pub fn shown<T>(result: Result<T>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(Error::RpcStatus(status)) => {
            let details = status.details.iter().map(|detail| match Item::parse_from_bytes(&detail.value) {
                Ok(item) => format!(" {}: {}", detail.type_url, show_item(item)),
                Err(err) => format!(" {}: {err}", detail.type_url),
            });
            format!("status {} {:?}{}", status.code.value(), status.message, details.collect::<String>())
        }
        Err(err) => format!("error {err:?}"),
    }
}

pub fn show_item(item: Item) -> String {
    if item.data.is_empty() {
        return format!("{:?}", item.text);
    }
    format!("{} bytes", item.data.len())
}

/// The metadata, and whether there was a deadline.
pub fn show_sight(sight: Sight) -> String {
    let mut words: Vec<String> =
        sight.metadata.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
    words.push(if sight.timeout_nano > 0 { "deadline" } else { "no deadline" }.into());
    words.join(" ")
}

/// Makes the unary call of a command with a client of either kind; for the
/// asynchronous one, the last word is `await`.
macro_rules! call {
    ($client:expr, $command:expr $(, $await:tt)?) => {{
        let (calls, command) = ($client, $command);
        let ctx = command.ctx.clone();
        match command.name.as_str() {
            "echo" => shown(calls.echo(ctx, &command.item())$(.$await)?, show_item),
            "send" => shown(calls.echo(ctx, &crate::server::filled(command.size()))$(.$await)?, show_item),
            "see" => shown(calls.see(ctx, &command.item())$(.$await)?, show_sight),
            "fail" => shown(calls.fail(ctx, &command.failure())$(.$await)?, show_item),
            "fill" => shown(calls.fill(ctx, &command.size())$(.$await)?, show_item),
            "wait" => shown(calls.wait(ctx, &command.item())$(.$await)?, show_item),
            "started" => shown(calls.started(ctx, &command.item())$(.$await)?, show_item),
            "release" => shown(calls.release(ctx, &command.item())$(.$await)?, show_item),
            "ended" => shown(calls.ended(ctx, &command.item())$(.$await)?, show_item),
            unknown => panic!("unknown command {unknown}"),
        }
    }};
}
pub(crate) use call;

/// What came of many calls: how often each answer was not the right one.
pub fn show_answers(answers: Vec<(String, String)>) -> String {
    let mut wrong: Vec<String> = Vec::new();
    for (got, want) in &answers {
        if got != want {
            wrong.push(format!("{got}, not {want}"));
        }
    }
    match wrong.first() {
        None => format!("{} answered", answers.len()),
        Some(first) => format!("{} of {} not answered: {first}", wrong.len(), answers.len()),
    }
}
