//! A small sorted map.
//!
//! Tables here hold some hundred entries, and every kind of `BTreeMap` costs a page 10 kB of download.

/// Values by key, in the order of keys. Inserting and removing move what comes after.
#[derive(Clone, Debug)]
pub struct Table<Key, Value> {
    entries: Vec<(Key, Value)>,
}

impl<Key, Value> Default for Table<Key, Value> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<Key: Ord, Value> Table<Key, Value> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a key has a value.
    pub fn contains(&self, key: &Key) -> bool {
        self.position(key).is_ok()
    }

    /// The value of a key.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        let position = self.position(key).ok()?;
        Some(&self.entries[position].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Value> {
        let position = self.position(key).ok()?;
        Some(&mut self.entries[position].1)
    }

    /// All values, to be changed, by key.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Gives a key a value, and the one that it had.
    pub fn insert(&mut self, key: Key, value: Value) -> Option<Value> {
        match self.position(&key) {
            Ok(position) => Some(std::mem::replace(&mut self.entries[position].1, value)),
            Err(position) => {
                self.entries.insert(position, (key, value));
                None
            }
        }
    }

    /// The value of a key, made if there is none.
    pub fn get_or_insert_with(&mut self, key: Key, make: impl FnOnce() -> Value) -> &mut Value {
        let position = match self.position(&key) {
            Ok(position) => position,
            Err(position) => {
                self.entries.insert(position, (key, make()));
                position
            }
        };
        &mut self.entries[position].1
    }

    /// Takes a key and its value out.
    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        let position = self.position(key).ok()?;
        Some(self.entries.remove(position).1)
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Keeps those that are to be kept.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&Key, &Value) -> bool) {
        self.entries.retain(|(key, value)| is_kept(key, value));
    }

    /// Every key with its value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// Every value, in the order of keys.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// Every value, in the order of keys, as its owner.
    pub fn into_values(self) -> impl Iterator<Item = Value> {
        self.entries.into_iter().map(|(_, value)| value)
    }

    fn position(&self, key: &Key) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_table_does_what_a_btree_map_does(steps in prop::collection::vec((any::<bool>(), 0u8..20, any::<u16>()), 0..200)) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for (is_insert, key, value) in steps {
                if is_insert {
                    prop_assert_eq!(table.insert(key, value), map.insert(key, value));
                } else {
                    prop_assert_eq!(table.remove(&key), map.remove(&key));
                }
                prop_assert_eq!(table.get(&key), map.get(&key));
                prop_assert!(table.iter().eq(map.iter()));
            }
        }
    }
}
