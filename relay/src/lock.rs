//! Locks of which no holder panics.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock. No code panics while it holds one, so what it guards is whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
