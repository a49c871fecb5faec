/* What is free: the machine's memory, or what a control group leaves of it. */
#include "cli/train/run.h"
#include <string.h>

/* The number behind a word in a file, or -1. */
static int64_t number_in(const char *path, const char *word)
{
    Err none;
    size_t len;
    char *text = read_file(path, &len, &none), *end;
    const char *at = text ? strstr(text, word) : NULL;
    at = at ? at + strlen(word) : "";
    long long v = strtoll(at, &end, 10);
    bool fine = end != at;
    free(text);
    return fine ? v : -1;
}

int64_t memory_free(void)
{
    int64_t kb = number_in("/proc/meminfo", "MemAvailable:");
    int64_t free_now = kb > 0 ? kb * 1024 : (int64_t)4 << 30;
    int64_t most = number_in("/sys/fs/cgroup/memory.max", ""),
            used = number_in("/sys/fs/cgroup/memory.current", ""),
            cached = number_in("/sys/fs/cgroup/memory.stat", "\nfile ");
    if (cached > 0)
        used -= cached; /* it goes when memory is wanted */
    if (most > 0 && most - used < free_now)
        free_now = most > used ? most - used : 0;
    return free_now;
}
