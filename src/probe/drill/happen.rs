//! What the engines tell meanwhile: containers that end, are killed for want of memory, or start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::world::Heard;
use crate::docker::Engine;
use crate::docker::container::{PROJECT, SERVICE};
use crate::docker::swarm::{NAMESPACE, SERVICE_NAME, short};
use crate::drill::What;
use crate::stack::Stack;
use crate::text::Text;

/// Before an engine that closed its events is asked again: its machine may be off.
const AGAIN: Duration = Duration::from_millis(500);
/// More than this is a loop, which is seen by then.
const MOST: usize = 500;

type All = Arc<Mutex<Vec<Heard>>>;

/// Listens until it is dropped.
pub(super) struct Ears {
    heard: All,
    tasks: Vec<JoinHandle<()>>,
}

impl Ears {
    pub(super) fn open(stack: &Stack) -> Self {
        let heard = All::default();
        let mut tasks = Vec::new();
        let label = if stack.swarm { NAMESPACE } else { PROJECT };
        let of_stack = format!("{label}={}", stack.project);
        for spot in std::iter::once(&stack.home).chain(&stack.others) {
            let (engine, heard, label) = (spot.engine.clone(), heard.clone(), of_stack.clone());
            tasks.push(tokio::spawn(async move { listen(&engine, &label, &heard, service).await }));
        }
        if !stack.machines.nodes.is_empty() {
            let names: HashMap<String, String> =
                stack.machines.nodes.iter().filter_map(|n| Some((n.container.clone()?, n.name().to_owned()))).collect();
            let (engine, heard) = (stack.ground.engine.clone(), heard.clone());
            let label = crate::backend::vagrant::nodes::MACHINE.to_owned();
            tasks.push(tokio::spawn(async move {
                listen(&engine, &label, &heard, |event| {
                    names.get(event.actor.as_ref()?.id.as_ref()?).map(|name| format!("machine {name}"))
                })
                .await;
            }));
        }
        Self { heard, tasks }
    }

    /// What was heard since the last time.
    pub(super) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(engine: &Engine, label: &str, heard: &All, name: impl Fn(&EventMessage) -> Option<String>) {
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![label.to_owned()]),
        ("event".to_owned(), ["die", "oom", "start"].map(String::from).to_vec()),
    ]);
    loop {
        let mut events = Box::pin(engine.docker().events(Some(EventsOptionsBuilder::new().filters(&filters).build())));
        while let Some(Ok(event)) = events.next().await {
            let Some(who) = name(&event) else { continue };
            let Some((what, said)) = read(&event, &who) else { continue };
            let mut all = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() < MOST {
                all.push(Heard { at: Instant::now(), what, who, said });
            }
        }
        sleep(AGAIN).await;
    }
}

fn service(event: &EventMessage) -> Option<String> {
    let attributes = event.actor.as_ref()?.attributes.as_ref()?;
    let stack = attributes.get(NAMESPACE).map(String::as_str).unwrap_or_default();
    let of_stack = || attributes.get(SERVICE_NAME).map(|full| short(full, stack).to_owned());
    attributes.get(SERVICE).cloned().or_else(of_stack)
}

fn read(event: &EventMessage, name: &str) -> Option<(What, Text)> {
    let name = crate::sanitize::line(name, 80);
    let status = event.actor.as_ref().and_then(|a| a.attributes.as_ref()?.get("exitCode").cloned());
    let status = crate::sanitize::line(&status.unwrap_or_default(), 10);
    Some(match event.action.as_deref()? {
        "die" => (What::Died, Text::new(format!("{name} (status {status})"), format!("{name} (estado {status})"))),
        "oom" => (What::OutOfMemory, Text::same(name)),
        "start" => (What::Started, Text::same(name)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    #[test]
    fn an_end_is_told_with_its_service_and_status() {
        let attributes =
            HashMap::from([(SERVICE.to_owned(), "app".to_owned()), ("exitCode".to_owned(), "137".to_owned())]);
        let actor = EventActor { id: Some("x".into()), attributes: Some(attributes) };
        let event = EventMessage { action: Some("die".into()), actor: Some(actor), ..EventMessage::default() };
        let name = service(&event).unwrap();
        assert_eq!(read(&event, &name).unwrap(), (What::Died, Text::new("app (status 137)", "app (estado 137)")));
        let other = EventMessage { action: Some("exec_start: x".into()), ..event };
        assert!(read(&other, &name).is_none());
    }
}
