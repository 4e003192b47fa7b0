//! The engine, with room for the calls that run at the same time.

use anyhow::Result;
use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::component::prepare_for_embedded;
use crate::grants::Limits;

/// How much of an instance's memory stays with the process between calls: the built-in component's stack (which lies
/// lowest), its data, and the heap of a call with a few dozen mappings. Sixteen instances keep 8 MiB at the most.
const KEEP_RESIDENT: usize = 512 << 10;

/// The engine: the settings of the compiled code, and room for the calls that run at the same time.
pub(super) fn engine(limits: &Limits, for_embedded: bool) -> Result<Engine> {
    let calls = u32::try_from(limits.concurrent_calls)?;
    let mut pool = PoolingAllocationConfig::new();
    // A component with its adapters consists of several core instances and tables, and of one memory each.
    pool.total_component_instances(calls)
        .total_core_instances(calls * 8)
        .total_memories(calls * 2)
        .total_tables(calls * 8)
        .total_stacks(calls)
        .max_core_instances_per_component(8)
        .max_memories_per_component(2)
        .max_tables_per_component(8)
        .max_memory_size(limits.memory_mib << 20)
        // What a call of usual size touches stays mapped between calls, and is written over: giving it back to the
        // system and taking page after page anew costs a tenth of a call. Where the system can tell which pages those
        // are (Linux 6.7), no others are written; elsewhere it is the lowest ones, and they become resident.
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(calls);
    let mut config = crate::engine::code_settings(cfg!(windows));
    if for_embedded {
        prepare_for_embedded(&mut config);
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(Engine::new(&config)?)
}

/// Drops a finished instance, and gives its place free, when there is nothing else to do: its answer is written then.
pub(super) fn drop_later(instance: impl Send + 'static) {
    tokio::spawn(async move {
        tokio::task::yield_now().await;
        drop(instance);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;

    use super::drop_later;

    type Order = Arc<Mutex<Vec<&'static str>>>;

    /// An instance that says when it is dropped.
    struct Instance(Order);

    impl Drop for Instance {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("dropped");
        }
    }

    /// Hands an answer on, through as many tasks as there are between a call and the pipe, and more.
    fn answer(order: &Order) {
        let (first, mut last) = mpsc::channel(1);
        for _ in 0..8 {
            let (sender, receiver) = mpsc::channel(1);
            let mut before = std::mem::replace(&mut last, receiver);
            tokio::spawn(async move { sender.send(before.recv().await.unwrap()).await.unwrap() });
        }
        let order = order.clone();
        tokio::spawn(async move {
            let answer = last.recv().await.unwrap();
            order.lock().unwrap().push(answer);
        });
        first.try_send("answered").unwrap();
    }

    #[test]
    fn an_instance_is_dropped_after_its_answer_was_handed_on_to_the_pipe() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let order = Order::default();
        runtime.block_on(async {
            drop_later(Instance(order.clone()));
            answer(&order);
            while order.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(*order.lock().unwrap(), ["answered", "dropped"]);
    }
}
