// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! The asynchronous server.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use protobuf::Message;
use tokio::runtime::Runtime;
use ttrpc::{
    proto::{Any, Code, Status},
    r#async::{Server, ServerStream, ServerStreamReceiver, ServerStreamSender, TtrpcContext},
    Error, Result,
};

use crate::{
    asynchronous::{
        calls::{Failure, Item, Pair, Sight, Size},
        calls_ttrpc::{create_calls, Calls},
        streams_ttrpc::{create_streams, Streams},
    },
    gates::Gates,
    serving, Outcome,
};

pub fn serve(runtime: Runtime, address: &str) -> Outcome {
    runtime.block_on(async {
        let service = Arc::new(Service::default());
        let mut server = Server::new()
            .bind(address)?
            .register_service(create_calls(service.clone()))
            .register_service(create_streams(service));
        server.start().await?;
        tokio::task::spawn_blocking(serving).await??;
        Ok(())
    })
}

#[derive(Default)]
struct Service {
    gates: Gates,
}

#[async_trait]
impl Calls for Service {
    async fn echo(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        Ok(item)
    }

    async fn see(&self, ctx: &TtrpcContext, _: Item) -> Result<Sight> {
        Ok(seen(ctx))
    }

    async fn fail(&self, _: &TtrpcContext, failure: Failure) -> Result<Item> {
        Err(error(failure))
    }

    async fn fill(&self, _: &TtrpcContext, size: Size) -> Result<Item> {
        Ok(filled(size))
    }

    async fn wait(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        self.gates.wait(&item.text).await;
        Ok(item)
    }

    async fn started(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        self.gates.started(&item.text).await;
        Ok(item)
    }

    async fn release(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        self.gates.release(&item.text).await;
        Ok(item)
    }

    async fn ended(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        Ok(text(self.gates.ended(&item.text).await))
    }
}

#[async_trait]
impl Streams for Service {
    async fn join(&self, _: &TtrpcContext, mut items: ServerStreamReceiver<Item>) -> Result<Item> {
        let mut texts = Vec::new();
        while let Some(item) = items.recv().await? {
            texts.push(item.text);
        }
        Ok(text(&format!("{}:{}", texts.len(), texts.join("|"))))
    }

    async fn split(&self, _: &TtrpcContext, item: Item, stream: ServerStreamSender<Item>) -> Result<()> {
        for part in items(&item.text) {
            stream.send(&part).await?;
        }
        Ok(())
    }

    async fn turns(&self, _: &TtrpcContext, mut stream: ServerStream<Item, Item>) -> Result<()> {
        while let Some(item) = stream.recv().await? {
            stream.send(&item).await?;
        }
        Ok(())
    }

    async fn see_join(&self, ctx: &TtrpcContext, mut items: ServerStreamReceiver<Item>) -> Result<Sight> {
        while items.recv().await?.is_some() {}
        Ok(seen(ctx))
    }

    async fn see_split(&self, ctx: &TtrpcContext, _: Item, stream: ServerStreamSender<Sight>) -> Result<()> {
        stream.send(&seen(ctx)).await
    }

    async fn see_turns(&self, ctx: &TtrpcContext, mut stream: ServerStream<Sight, Item>) -> Result<()> {
        while stream.recv().await?.is_some() {
            stream.send(&seen(ctx)).await?;
        }
        Ok(())
    }

    async fn fail_join(&self, _: &TtrpcContext, mut items: ServerStreamReceiver<Failure>) -> Result<Item> {
        let failure = items.recv().await?.unwrap_or_default();
        while items.recv().await?.is_some() {}
        Err(error(failure))
    }

    async fn fail_split(
        &self,
        _: &TtrpcContext,
        failure: Failure,
        stream: ServerStreamSender<Item>,
    ) -> Result<()> {
        stream.send(&text(&failure.text)).await?;
        Err(error(failure))
    }

    async fn fail_turns(&self, _: &TtrpcContext, mut stream: ServerStream<Item, Failure>) -> Result<()> {
        let failure = stream.recv().await?.unwrap_or_default();
        stream.send(&text(&failure.text)).await?;
        Err(error(failure))
    }

    async fn fill(&self, _: &TtrpcContext, size: Size, stream: ServerStreamSender<Item>) -> Result<()> {
        let sent = match stream.send(&filled(size)).await {
            Ok(()) => text("sent"),
            Err(_) => text("not sent"),
        };
        stream.send(&sent).await
    }

    async fn wait(&self, _: &TtrpcContext, item: Item, stream: ServerStreamSender<Item>) -> Result<()> {
        self.gates.wait(&item.text).await;
        stream.send(&text("released")).await
    }
}

pub fn text(text: &str) -> Item {
    Item { text: text.to_string(), ..Default::default() }
}

/// An item for each text between `|`, and none for `none`.
pub fn items(texts: &str) -> Vec<Item> {
    match texts {
        "none" => Vec::new(),
        _ => texts.split('|').map(text).collect(),
    }
}

pub fn filled(size: Size) -> Item {
    Item { data: vec![1; size.bytes as usize], ..Default::default() }
}

fn seen(ctx: &TtrpcContext) -> Sight {
    sight(&ctx.metadata, ctx.timeout_nano)
}

pub fn sight(metadata: &HashMap<String, Vec<String>>, timeout_nano: i64) -> Sight {
    let mut keys: Vec<&String> = metadata.keys().collect();
    keys.sort();
    let pair =
        |key: &String, value: &String| Pair { key: key.clone(), value: value.clone(), ..Default::default() };
    let pairs = keys.into_iter().flat_map(|key| metadata[key].iter().map(move |value| pair(key, value)));
    Sight { metadata: pairs.collect(), timeout_nano, ..Default::default() }
}

/// The error that a client has asked for; a negative code asks for one without
/// a status.
pub fn error(failure: Failure) -> Error {
    if failure.code < 0 {
        return Error::Others(failure.text);
    }
    let mut status = Status { message: failure.text, ..Default::default() };
    status.code = protobuf::EnumOrUnknown::<Code>::from_i32(failure.code);
    if !failure.detail.is_empty() {
        status.details.push(Any {
            type_url: format!("type.googleapis.com/ttrpc.integration.rust.{}", Item::NAME),
            value: text(&failure.detail).write_to_bytes().expect("encoding a text does not fail"),
            ..Default::default()
        });
    }
    Error::RpcStatus(status)
}
