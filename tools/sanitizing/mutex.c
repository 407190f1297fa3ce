// Swift's Mutex for ThreadSanitizer, as a library that is preloaded; for tools/sanitize on Linux.
//
// Where two threads meet at a Mutex, its lock is taken and handed on inside libswiftSynchronization
// (the toolchain's, without instrumentation) and the kernel: the sanitizer does not see it, and
// takes what the lock guards for a race, as it does when four threads add to one Mutex<Int>, whose
// sum is right. Here it is told of each lock taken and given back there; it sees those on the short
// way, which is compiled into the caller, by itself. So nothing is left out, as it would be with a
// list of reports to suppress.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

// Of the sanitizer; a program without it has none.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *handle
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// _MutexHandle._lockSlow(_: UInt32)
SWIFT void strata_lock(uint32_t thread, SELF) __asm__(LOCK);
// _MutexHandle._tryLockSlow() -> Bool
SWIFT bool strata_try_lock(SELF) __asm__(TRY_LOCK);
// _MutexHandle._unlockSlow()
SWIFT void strata_unlock(SELF) __asm__(UNLOCK);

static void acquire(void *handle) {
  if (__tsan_acquire) __tsan_acquire(handle);
}

SWIFT void strata_lock(uint32_t thread, SELF) {
  typedef SWIFT void (*function)(uint32_t, SELF);
  ((function)dlsym(RTLD_NEXT, LOCK))(thread, handle);
  acquire(handle);
}

SWIFT bool strata_try_lock(SELF) {
  typedef SWIFT bool (*function)(SELF);
  bool is_taken = ((function)dlsym(RTLD_NEXT, TRY_LOCK))(handle);
  if (is_taken) acquire(handle);
  return is_taken;
}

SWIFT void strata_unlock(SELF) {
  typedef SWIFT void (*function)(SELF);
  if (__tsan_release) __tsan_release(handle);
  ((function)dlsym(RTLD_NEXT, UNLOCK))(handle);
}
