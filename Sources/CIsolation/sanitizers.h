// Which sanitizers this is compiled with.

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NEEDS_ROOM 1
#endif
#if defined(NEEDS_ROOM) || __has_feature(undefined_behavior_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

// Whether a sanitizer keeps tables of its own.
#if !defined(NEEDS_ROOM)
#define NEEDS_ROOM 0
#endif

// Whether there is any, whose reports somebody has to see.
#if !defined(IS_SANITIZED)
#define IS_SANITIZED 0
#endif
