// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//! The synchronous server.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use ttrpc::{sync::Server, Result, TtrpcContext};

use crate::{
    asynchronous::calls::{Failure, Item, Sight, Size},
    gates::Gates,
    server::{error, filled, sight, text},
    serving,
    synchronous::calls_ttrpc::{create_calls, Calls},
    Outcome,
};

pub fn serve(address: &str) -> Outcome {
    let service = Service { gates: Gates::default(), runtime: Builder::new_multi_thread().build()? };
    let mut server = Server::new().bind(address)?.register_service(create_calls(Arc::new(service)));
    server.start()?;
    serving()?;
    Ok(())
}

struct Service {
    gates: Gates,
    runtime: Runtime, // only to wait in
}

impl Calls for Service {
    fn echo(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        Ok(item)
    }

    fn see(&self, ctx: &TtrpcContext, _: Item) -> Result<Sight> {
        Ok(sight(&ctx.metadata, ctx.timeout_nano))
    }

    fn fail(&self, _: &TtrpcContext, failure: Failure) -> Result<Item> {
        Err(error(failure))
    }

    fn fill(&self, _: &TtrpcContext, size: Size) -> Result<Item> {
        Ok(filled(size))
    }

    fn wait(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        self.runtime.block_on(self.gates.wait(&item.text));
        Ok(item)
    }

    fn started(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        self.runtime.block_on(self.gates.started(&item.text));
        Ok(item)
    }

    fn release(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        self.runtime.block_on(self.gates.release(&item.text));
        Ok(item)
    }

    fn ended(&self, _: &TtrpcContext, item: Item) -> Result<Item> {
        Ok(text(self.runtime.block_on(self.gates.ended(&item.text))))
    }
}
