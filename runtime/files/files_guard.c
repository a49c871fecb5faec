/* A mapped file that another program cuts short ends the run with its name, not
 * with SIGBUS alone. */
#include "runtime/files/files_private.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { MOST_MAPS = 4096, LONGEST = 200 };

/* What the handler reads: a slot is in use while its base is set. */
static struct {
    const unsigned char *volatile base;
    int64_t size;
    char path[LONGEST];
} guarded[MOST_MAPS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_bus(int number, siginfo_t *info, void *context)
{
    (void)context;
    const unsigned char *at = info->si_addr;
    for (int i = 0; i < MOST_MAPS; i++) {
        const unsigned char *base = guarded[i].base;
        if (!base || at < base || at >= base + guarded[i].size)
            continue;
        say("graft: ");
        say(guarded[i].path);
        say(": cannot be read: it was cut short while it was in use\n");
        _exit(1);
    }
    signal(number, SIG_DFL); /* not of a file: it comes again, and ends us */
}

static void catch_bus(void)
{
    struct sigaction act = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, NULL);
}

/* The path as it may be printed without looking at it again. */
static void keep_path(char to[LONGEST], const char *path)
{
    size_t n = strlen(path), from = n >= LONGEST ? n - LONGEST + 1 : 0;
    for (size_t i = from; i <= n; i++)
        *to++ = path[i] && (path[i] < ' ' || path[i] == 127) ? '?' : path[i];
}

void guard_map(const FileMap *m)
{
    catch_bus();
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_MAPS; i++) {
        if (guarded[i].base)
            continue;
        guarded[i].size = m->size;
        keep_path(guarded[i].path, m->path);
        guarded[i].base = m->base;
        break;
    }
    pthread_mutex_unlock(&lock);
}

void guard_unmap(const FileMap *m)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_MAPS; i++)
        if (guarded[i].base == m->base)
            guarded[i].base = NULL;
    pthread_mutex_unlock(&lock);
}
