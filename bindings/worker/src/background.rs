//! Work that goes on when the client goes away.
//!
//! Boxed, so that the code that makes promises of futures is there once and not for each of them.

use core::future::Future;
use core::pin::Pin;

use js_sys::Promise;
use js_sys::futures::{JsFuture, future_to_promise};
use wasm_bindgen::JsValue;
use worker::worker_sys::Context;

pub(crate) type Work<T = ()> = Pin<Box<dyn Future<Output = T>>>;

/// A promise of what `work` comes to. It is begun with the next microtask.
pub(crate) fn promise(work: Work<Result<JsValue, JsValue>>) -> Promise {
    future_to_promise(work)
}

/// Does `work` beside the answer.
pub(crate) fn detach(ctx: &Context, work: Work) {
    keep(ctx, &promise_of_end(work));
}

fn promise_of_end(work: Work) -> Promise {
    promise(Box::pin(async move {
        work.await;
        Ok(JsValue::UNDEFINED)
    }))
}

/// Asks the runtime to go on until the promise is settled. It throws only once the answer is long there: the work is begun all the
/// same.
fn keep(ctx: &Context, done: &Promise) {
    drop(ctx.wait_until(done));
}

/// Does `work` beside the answer where there is one to give, and at once where everything is beside it already.
pub(crate) async fn aside(ctx: Option<&Context>, work: Work) {
    match ctx {
        Some(ctx) => detach(ctx, work),
        None => work.await,
    }
}

/// Does `work` and waits for its end. The work goes on when the client goes away meanwhile: others rely on it.
pub(crate) async fn to_its_end(ctx: Option<&Context>, work: Work) {
    let Some(ctx) = ctx else { return work.await };
    let done = promise_of_end(work);
    keep(ctx, &done);
    drop(JsFuture::from(done).await);
}
