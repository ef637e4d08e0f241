//! What the application holds: topics and watchers. Several handles may share a topic; each gets every message.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::output::{HandleId, Report};
use crate::limits;

/// All handles that are open.
#[derive(Debug, Default)]
pub struct Handles {
    topics_by_handle: BTreeMap<HandleId, Arc<str>>,
    handles_by_topic: BTreeMap<Arc<str>, Vec<HandleId>>,
    watches: Vec<HandleId>,
    last: u32,
}

impl Handles {
    /// A new handle of a topic. If it cannot be had, the handle is dead from the start and the report says why.
    pub fn join(&mut self, topic: &str) -> (HandleId, Result<(), Report>) {
        let handle = self.next();
        if let Some(problem) = self.refusal(topic) {
            return (handle, Err(Report { topic: Some(handle), ..problem }));
        }
        let name = match self.handles_by_topic.get_key_value(topic) {
            Some((name, _)) => name.clone(),
            None => topic.into(),
        };
        self.handles_by_topic.entry(name.clone()).or_default().push(handle);
        self.topics_by_handle.insert(handle, name);
        (handle, Ok(()))
    }

    /// A new watcher, on the same terms.
    pub fn watch(&mut self) -> (HandleId, Result<(), Report>) {
        let handle = self.next();
        if self.count() >= limits::HANDLES {
            return (handle, Err(too_many_handles()));
        }
        self.watches.push(handle);
        (handle, Ok(()))
    }

    /// Ends a handle. The others of its topic go on.
    pub fn close(&mut self, handle: HandleId) {
        self.watches.retain(|watch| *watch != handle);
        let Some(topic) = self.topics_by_handle.remove(&handle) else {
            return;
        };
        if let Some(handles) = self.handles_by_topic.get_mut(&topic) {
            handles.retain(|other| *other != handle);
            if handles.is_empty() {
                self.handles_by_topic.remove(&topic);
            }
        }
    }

    /// Ends every handle.
    pub fn close_all(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// Whether a handle is open.
    pub fn is_open(&self, handle: HandleId) -> bool {
        self.topics_by_handle.contains_key(&handle) || self.watches.contains(&handle)
    }

    /// The topic of a handle, if it is open.
    pub fn topic(&self, handle: HandleId) -> Option<&Arc<str>> {
        self.topics_by_handle.get(&handle)
    }

    /// The handles of a topic.
    pub fn of_topic(&self, topic: &str) -> &[HandleId] {
        self.handles_by_topic.get(topic).map_or(&[], Vec::as_slice)
    }

    /// Whether a topic is joined.
    pub fn is_joined(&self, topic: &str) -> bool {
        self.handles_by_topic.contains_key(topic)
    }

    /// The watchers.
    pub fn watches(&self) -> &[HandleId] {
        &self.watches
    }

    fn next(&mut self) -> HandleId {
        self.last += 1;
        HandleId(self.last)
    }

    fn count(&self) -> usize {
        self.topics_by_handle.len() + self.watches.len()
    }

    fn refusal(&self, topic: &str) -> Option<Report> {
        if topic.len() > limits::TOPIC_NAME {
            let text = format!("a topic name has {} bytes of UTF-8, more than {}", topic.len(), limits::TOPIC_NAME);
            return Some(Report::new("topic-too-long", text));
        }
        if !self.is_joined(topic) && self.handles_by_topic.len() >= limits::TOPICS {
            let text = format!("{} topics are joined already", limits::TOPICS);
            return Some(Report::new("too-many-topics", text));
        }
        (self.count() >= limits::HANDLES).then(too_many_handles)
    }
}

fn too_many_handles() -> Report {
    Report::new("too-many-handles", format!("{} topics and watchers are open already", limits::HANDLES))
}
