//! Parts of the program that can be isolated, as Criterion's benchmarks with its history: how long an import takes, a program
//! in the interpreter, a request of the API to be read, a chain of buffers to go through a queue.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringfence::api::http::{Connection, Limits};
use ringfence::bench::variant::call;
use ringfence::devices::virtio::device::Features;
use ringfence::devices::virtio::queue::{Queue, Setting};
use ringfence_benches::or_stop;
use ringfence_benches::synthetic::{last_request, oci_profile, policy};
use seccomp_policies::bpf::interpret;
use seccomp_policies::compile::reference;
use seccomp_policies::import::{Options, read_bytes};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

fn import(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("import of an OCI profile");
    for calls in [10_usize, 100, 300] {
        let profile = oci_profile(calls);
        group.throughput(Throughput::Elements(calls as u64));
        group.bench_function(BenchmarkId::new("calls", calls), |bencher| {
            bencher.iter(|| {
                read_bytes("oci.json", black_box(profile.as_bytes()), None, &Options::default())
                    .unwrap_or_else(|findings| panic!("{findings}"))
            });
        });
    }
    group.finish();
}

fn interpreter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("interpreter");
    for rules in [4, 64, 400] {
        let program = or_stop(reference(&or_stop(policy(rules))));
        // The last request: seccompiler's order passes all others.
        let last = call("ioctl", [3, u64::from(last_request(rules)), 0, 0, 0, 0]);
        let executed = or_stop(interpret(program.instructions(), &last)).executed;
        group.throughput(Throughput::Elements(executed as u64));
        group.bench_function(BenchmarkId::new("instructions", executed), |bencher| {
            bencher.iter(|| interpret(black_box(program.instructions()), black_box(&last)));
        });
    }
    group.finish();
}

const REQUEST: &[u8] = b"PUT /drives/root HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n\
    Content-Length: 91\r\n\r\n{\"drive_id\": \"root\", \"path_on_host\": \"root.ext4\", \"is_root_device\": true, \"is_read_only\": 0}";

fn http(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("HTTP");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("a request read", |bencher| {
        bencher.iter(|| {
            let mut connection = Connection::new(Limits::default());
            connection.received(black_box(REQUEST));
            assert!(connection.next_message().is_some(), "the request is whole");
            connection
        });
    });
    group.finish();
}

/// Where a driver's rings lie; and how many descriptors there are.
const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
const BUFFER: u64 = 0x4000;
const SIZE: u16 = 256;

/// `VIRTIO_F_VERSION_1`, virtio 1.2 section 6.
const VERSION_1: Features = Features(1 << 32);

/// A queue whose driver has set each of its descriptors to a buffer of a page.
fn queue(memory: &GuestMemoryMmap) -> Queue {
    let setting =
        Setting { size: SIZE, ready: true, descriptors: DESCRIPTORS, driver: AVAILABLE, device: USED };
    for index in 0..u64::from(SIZE) {
        // struct virtq_desc, section 2.7.5: address, length, flags, next.
        let place = |offset| GuestAddress(DESCRIPTORS + 16 * index + offset);
        or_stop(memory.write_obj(BUFFER, place(0)));
        or_stop(memory.write_obj(4096_u32, place(8)));
        or_stop(memory.write_obj(0_u32, place(12)));
        // struct virtq_avail, section 2.7.6: flags, index, ring.
        let ring = GuestAddress(AVAILABLE + 4 + 2 * index);
        or_stop(memory.write_obj(u16::try_from(index).unwrap_or_default(), ring));
    }
    Queue::new(&setting, SIZE, VERSION_1, memory).unwrap_or_else(|broken| panic!("{}", broken.0))
}

fn queues(criterion: &mut Criterion) {
    let memory = or_stop(GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0x1000), 0x10000)]));
    let mut group = criterion.benchmark_group("queue");
    for chains in [1_u16, 16, 256] {
        let mut queue = queue(&memory);
        or_stop(memory.write_obj(0_u16, GuestAddress(AVAILABLE + 2)));
        let mut offered = 0_u16;
        group.throughput(Throughput::Elements(chains.into()));
        group.bench_function(BenchmarkId::new("chains", chains), |bencher| {
            bencher.iter(|| {
                offered = offered.wrapping_add(chains);
                or_stop(memory.write_obj(offered, GuestAddress(AVAILABLE + 2)));
                let turn = queue.each(&memory, |chain| Ok(Some(u32::from(black_box(chain.head_index())))));
                assert!(turn.is_ok_and(|turn| turn.interrupt), "all were served");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, import, interpreter, http, queues);
criterion_main!(benches);
