//! A policy as filters on the kernel's own events of some calls: they watch, and refuse nothing.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::io;

use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter, ReadFormat};
use seccomp_policies::compile::event_filter::event_filter;
use seccomp_policies::language::Policy;

use super::Error;
use crate::tracepoint::{identifiers, set_filter};

/// The filters, each with its event's number. Events of other calls are left out: they say nothing of these.
#[derive(Debug)]
pub struct Events(Vec<(u64, Option<CString>)>);

impl Events {
    /// Looks the events of these calls up.
    ///
    /// # Errors
    /// [`Error::Tracepoint`] where the user may not see them, [`Error::NoEvent`].
    pub fn of(policy: &Policy, calls: &[&str]) -> Result<Self, Error> {
        let names: Vec<String> = calls.iter().map(|call| format!("syscalls:sys_enter_{call}")).collect();
        let numbers = identifiers(&names)?;
        let watched = event_filter(policy).watched;
        let filter = |(name, number): (&String, u64)| {
            let own = watched.iter().find(|filter| filter.event == *name).ok_or(Error::NoEvent)?;
            let text = own.filter.as_ref().and_then(|filter| CString::new(filter.to_string()).ok());
            Ok((number, text))
        };
        names.iter().zip(numbers).map(filter).collect::<Result<_, _>>().map(Self)
    }

    /// Watches a thread as long as what is returned lives. All tasks of the machine are slower meanwhile.
    ///
    /// # Errors
    /// [`Error::Event`]
    pub fn watch(&self, tid: i32) -> Result<Vec<Counter>, Error> {
        let open = |(number, filter): &(u64, Option<CString>)| {
            let mut counter = Builder::new(Tracepoint::with_id(*number))
                .observe_pid(tid)
                .any_cpu()
                .include_kernel()
                .read_format(ReadFormat::empty())
                .build()?;
            if let Some(filter) = filter {
                set_filter(&counter, filter)?;
            }
            counter.enable()?;
            Ok(counter)
        };
        self.0.iter().map(open).collect::<io::Result<_>>().map_err(Error::Event)
    }
}
