//! The event-filter backend: a policy as filters on tracing events, which watch and refuse nothing.
//!
//! Each call that a policy restricts gets its own event, with a filter string whose events are the *violations*: the
//! calls that the policy does not allow. One more watches the calls that the policy does not name. The strings are
//! for `perf`, `PERF_EVENT_IOC_SET_FILTER` of `perf_event_open(2)`, and the `filter` files of tracefs.
//!
//! What they can say is less than what a policy can, and [`EventFilter`] says where:
//!
//! - A field is a whole register. A 32-bit argument is judged as the policy does where its upper half holds zeros or
//!   the sign of the lower half. With any other upper half a call may count as a violation although the policy, which
//!   does not look there, allows it; a violation is never overlooked for it.
//! - A `char *` compares with text alone. A filter is then wider, and the rest is [`EventFilter::remainder`].
//! - A call that enters the kernel by another ABI has no event of its own: one of x32 is a call that the policy does
//!   not name, watched by its number under `otherwise allow`; one of i386 is taken for the `x86_64` call of its number.
//! - A call that an enforcing filter refuses never comes as far as its event.

mod event;
mod numbers;
mod predicate;
mod translate;
mod violation;

use std::collections::BTreeSet;
use std::fmt;

pub use event::of as event_of;
pub use predicate::{Field, Operator, Predicate};

use crate::action::Action;
use crate::call::Call;
use crate::language::Policy;
use crate::syscalls::Syscall;

/// The longest filter that the kernel takes, in bytes without the terminator: it copies one page at most,
/// `perf_event_set_filter` in Linux `kernel/events/core.c`, and `event_filter_write` in
/// `kernel/trace/trace_events.c`.
pub const MAX_LENGTH: usize = 4095;

/// A policy as filters on events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilters {
    /// The filters. Each violation passes exactly one.
    pub watched: Vec<EventFilter>,
    /// Calls that the policy allows whatever their arguments, and that need no event.
    pub unwatched: Vec<&'static Syscall>,
}

/// An event, and which of its occurrences are violations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    /// The event as perf and trace-cmd write it: `syscalls:sys_enter_ioctl`.
    pub event: String,
    /// The call, or `None` for those that the policy does not name.
    pub call: Option<&'static Syscall>,
    /// What the kernel can tell apart. `None`: every occurrence of the event.
    pub filter: Option<Predicate>,
    /// What is left to ask, of the call's registers, of those occurrences that the filter lets through. `None`:
    /// all of them are violations.
    pub remainder: Option<Predicate>,
    /// Why the filter lets more through than violations.
    pub notes: Vec<Note>,
}

/// Why a filter is wider than the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The call has no event of its own, so that the kernel can look at its number alone.
    NoEvent {
        /// The call.
        call: &'static str,
    },
    /// The policy tests a register of which the event has no field.
    NoField {
        /// The call.
        call: &'static str,
        /// The register, 0 to 5.
        register: u8,
    },
    /// The policy tests an address that the kernel compares with text alone.
    Text {
        /// The argument.
        argument: &'static str,
    },
    /// The whole filter would be longer than [`MAX_LENGTH`].
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEvent { call } => write!(f, "`{call}` has no event of its own"),
            Self::NoField { call, register } => {
                write!(f, "the event of `{call}` does not have register {register}")
            }
            Self::Text { argument } => {
                write!(f, "the kernel compares `{argument}` with text alone")
            }
            Self::TooLong { length } => {
                write!(f, "the whole filter has {length} bytes, and the kernel takes {MAX_LENGTH}")
            }
        }
    }
}

impl EventFilter {
    /// Whether the kernel would count a call that comes as far as its event.
    pub fn sees(&self, call: &Call) -> bool {
        self.has_event(call) && self.filter.as_ref().is_none_or(|filter| filter.holds(call))
    }

    /// Whether such a call is a violation, the remainder asked as well.
    pub fn is_violation(&self, call: &Call) -> bool {
        self.sees(call) && self.remainder.as_ref().is_none_or(|rest| rest.holds(call))
    }

    fn has_event(&self, call: &Call) -> bool {
        self.event == event::EVERY_CALL || self.call.is_some_and(|own| own.number == call.number)
    }
}

/// Compiles the policy to filters on events, in the order in which it names the calls.
///
/// A violation is a call for which [`Policy::decide`] says anything but allow, `log` included. A policy of the strict
/// tier has no program, but its events can be watched like any other's.
pub fn event_filter(policy: &Policy) -> EventFilters {
    let mut filters = EventFilters { watched: Vec::new(), unwatched: Vec::new() };
    let mut named = BTreeSet::new();
    for rule in &policy.rules {
        if named.insert(rule.call.number) {
            match violation::of_call(policy, rule.call) {
                Some(filter) => filters.watched.push(filter),
                None => filters.unwatched.push(rule.call),
            }
        }
    }
    if policy.otherwise != Action::Allow {
        filters.watched.extend(numbers::others(named).into_iter().map(of_others));
    } else if let Some(numbers) = policy.beyond() {
        filters.watched.push(of_others(numbers::within(&numbers)));
    }
    filters
}

fn of_others(others: Predicate) -> EventFilter {
    let filter = (others != Predicate::ALWAYS).then_some(others);
    EventFilter { event: event::EVERY_CALL.into(), call: None, filter, remainder: None, notes: Vec::new() }
}
