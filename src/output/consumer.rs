//! The thread between the event stream and the renderers.

use std::io;
use std::thread::{Builder, JoinHandle};

use super::renderer::Renderer;
use crate::event::summary::Summary;
use crate::event::{Event, EventReceiver};

/// Consumes the stream until its end, and returns what the run came to. A renderer whose output fails (a closed
/// pipe, a full disk) is dropped; the others and the build go on.
pub fn spawn(mut receiver: EventReceiver, mut renderers: Vec<Box<dyn Renderer>>) -> io::Result<JoinHandle<Summary>> {
    Builder::new().name("events".into()).spawn(move || {
        let mut summary = Summary::default();
        while let Some(event) = receiver.next_blocking() {
            take(&event, &mut summary, &mut renderers);
            while let Some(event) = receiver.next_waiting() {
                take(&event, &mut summary, &mut renderers);
            }
            retain(&mut renderers, |renderer| renderer.flush());
        }
        retain(&mut renderers, |renderer| renderer.finish(&summary));
        summary
    })
}

fn take(event: &Event, summary: &mut Summary, renderers: &mut Vec<Box<dyn Renderer>>) {
    summary.apply(event);
    retain(renderers, |renderer| renderer.event(event));
}

fn retain(renderers: &mut Vec<Box<dyn Renderer>>, mut show: impl FnMut(&mut dyn Renderer) -> io::Result<()>) {
    renderers.retain_mut(|renderer| match show(&mut **renderer) {
        Ok(()) => true,
        // Whoever read it has had enough, as in `larder build | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => false,
        Err(error) => {
            tracing::warn!(%error, "an output of the event stream failed, and is left out from here on");
            false
        }
    });
}
