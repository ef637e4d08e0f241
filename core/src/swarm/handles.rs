//! What the application holds: topics and watchers. Several handles may share a topic; each gets every message.

use std::sync::Arc;

use super::output::{HandleId, Report};
use crate::code::Code;
use crate::limits;
use crate::table::Table;

/// All handles that are open.
#[derive(Debug, Default)]
pub struct Handles {
    topic_of: Table<HandleId, Arc<str>>,
    topics: Vec<Topic>,
    watches: Vec<HandleId>,
    last: u32,
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    handles: Vec<HandleId>,
}

impl Handles {
    /// A new handle of a topic. If it cannot be had, the handle is dead from the start and the report says why.
    pub fn join(&mut self, topic: &str) -> (HandleId, Result<(), Report>) {
        let handle = self.next();
        if let Some(problem) = self.refusal(topic) {
            return (handle, Err(Report { handle: Some(handle), topic: Some(topic.into()), ..problem }));
        }
        let position = self.topics.iter().position(|joined| *joined.name == *topic).unwrap_or(self.topics.len());
        if position == self.topics.len() {
            self.topics.push(Topic { name: topic.into(), handles: Vec::new() });
        }
        self.topics[position].handles.push(handle);
        self.topic_of.insert(handle, self.topics[position].name.clone());
        (handle, Ok(()))
    }

    /// A new watcher, on the same terms.
    pub fn watch(&mut self) -> (HandleId, Result<(), Report>) {
        let handle = self.next();
        if self.count() >= limits::HANDLES {
            return (handle, Err(Report { handle: Some(handle), ..too_many_handles() }));
        }
        self.watches.push(handle);
        (handle, Ok(()))
    }

    /// Ends a handle. The others of its topic go on.
    pub fn close(&mut self, handle: HandleId) {
        self.watches.retain(|watch| *watch != handle);
        if self.topic_of.remove(&handle).is_some() {
            for topic in &mut self.topics {
                topic.handles.retain(|other| *other != handle);
            }
            self.topics.retain(|topic| !topic.handles.is_empty());
        }
    }

    /// Ends every handle.
    pub fn close_all(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// Whether a handle is open.
    pub fn is_open(&self, handle: HandleId) -> bool {
        self.topic_of.contains(&handle) || self.watches.contains(&handle)
    }

    /// The topic of a handle, if it is open.
    pub fn topic(&self, handle: HandleId) -> Option<&Arc<str>> {
        self.topic_of.get(&handle)
    }

    /// The handles of a topic.
    pub fn of_topic(&self, topic: &str) -> &[HandleId] {
        self.topics.iter().find(|joined| *joined.name == *topic).map_or(&[], |joined| &joined.handles)
    }

    /// The handles of all topics.
    pub fn topics(&self) -> impl Iterator<Item = HandleId> {
        self.topic_of.iter().map(|(handle, _)| *handle)
    }

    /// Whether a topic is joined.
    pub fn is_joined(&self, topic: &str) -> bool {
        !self.of_topic(topic).is_empty()
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
        self.topic_of.len() + self.watches.len()
    }

    fn refusal(&self, topic: &str) -> Option<Report> {
        if topic.len() > limits::TOPIC_NAME {
            let text = format!("a topic name has {} bytes of UTF-8, more than {}", topic.len(), limits::TOPIC_NAME);
            return Some(Report::new(Code::TopicTooLong, text));
        }
        if !self.is_joined(topic) && self.topics.len() >= limits::TOPICS {
            let text = format!("{} topics are joined already", limits::TOPICS);
            return Some(Report::new(Code::TooManyTopics, text));
        }
        (self.count() >= limits::HANDLES).then(too_many_handles)
    }
}

fn too_many_handles() -> Report {
    Report::new(Code::TooManyHandles, format!("{} topics and watchers are open already", limits::HANDLES))
}
