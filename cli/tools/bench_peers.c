/* The other programs that graft bench runs, each in a process of its own (the
 * text bench/peers/worker.py, run by the Python that bench/setup-peers made).
 * They die with graft, however it ends. */
#include "cli/tools/bench.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern const char text_worker[];
enum {
    LONGEST_LINE = 1 << 16,
    LOOK_UP = 100 /* ms; Ctrl-C may come to another thread */
};

static const char *python(void)
{
    const char *own = getenv("GRAFT_PEERS"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (own && *own)
        return own;
    if (cache && *cache)
        return intern_printf("%s/graft/peers/bin/python", cache);
    return intern_printf("%s/.cache/graft/peers/bin/python", home ? home : "");
}

/* ---- processes ---- */

/* In the child: its own group, so that Ctrl-C is for graft alone. */
static _Noreturn void become(char *const *argv, int in, int out, pid_t parent)
{
    int nowhere = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    dup2(in < 0 ? nowhere : in, 0);
    dup2(out < 0 ? nowhere : out, 1);
    dup2(nowhere, 2);
    execv(argv[0], argv);
    _exit(127);
}

static int spawn(char *const *argv, int in, int out)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(argv, in, out, parent);
    return pid;
}

/* Whether the process is over; its status then, once. */
static bool reap(Peer *p, int *status, int how)
{
    pid_t pid;
    do
        pid = waitpid(p->pid, status, how);
    while (pid < 0 && errno == EINTR);
    if (pid == p->pid)
        p->pid = 0;
    return p->pid == 0;
}

void peer_end(Peer *p)
{
    int status;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        reap(p, &status, 0);
    }
    free(p->text);
    p->text = NULL;
}

/* Always false. */
PRINTF(2, 3) static bool failed(Peer *p, const char *fmt, ...)
{
    Err err;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err.text, sizeof err.text, fmt, ap);
    va_end(ap);
    if (!rt_interrupted)
        report_note(p->common, "%s: %s", p->name, err.text);
    peer_end(p);
    return false;
}

/* It closed its end: how did it go? */
static bool ended(Peer *p)
{
    enum { TRIES = 100 };
    int status, i = 0;
    while (i < TRIES && !reap(p, &status, WNOHANG)) {
        poll(NULL, 0, 10);
        i++;
    }
    if (i == TRIES)
        return failed(p, "it closed its output");
    if (WIFSIGNALED(status))
        return failed(p, "its process was ended by signal %d (%s)",
                      WTERMSIG(status), strsignal(WTERMSIG(status)));
    return failed(p, "its process ended with status %d before it answered",
                  WEXITSTATUS(status));
}

void peer_start(Peer *p)
{
    int pair[2];
    const char *path = python();
    char *argv[] = {(char *)(uintptr_t)path, "-c",
                    (char *)(uintptr_t)text_worker,
                    (char *)(uintptr_t)p->name, NULL};
    p->fd = -1;
    p->pid = 0;
    if (access(path, X_OK)) {
        failed(p, "not compared: no %s (bench/setup-peers makes it)", path);
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        failed(p, "no socket: %s", strerror(errno));
        return;
    }
    p->pid = spawn(argv, pair[1], pair[1]);
    close(pair[1]);
    if (p->pid < 0) {
        close(pair[0]);
        failed(p, "no process: %s", strerror(errno));
        return;
    }
    p->fd = pair[0];
}

/* ---- lines ---- */

static bool send_line(Peer *p, cJSON *o)
{
    char *text = cJSON_PrintUnformatted(o);
    if (!text)
        die("out of memory");
    size_t n = strlen(text);
    text[n] = '\n';
    bool fine = send(p->fd, text, n + 1, MSG_NOSIGNAL) == (ssize_t)n + 1;
    cJSON_free(text);
    return fine || ended(p);
}

/* Reads some more; false: it has failed. */
static bool read_more(Peer *p, double end)
{
    struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
    int ready = poll(&poll_fd, 1, LOOK_UP);
    if (rt_interrupted || (ready < 0 && errno != EINTR))
        return failed(p, "no answer: %s", strerror(errno));
    if (ready <= 0)
        return seconds_now() < end ||
               failed(p, "no answer in %g seconds (--peer-timeout)",
                      p->patience);
    if (p->room - p->ntext < 4096)
        p->text = xrealloc(p->text, p->room += 8192);
    ssize_t n = read(p->fd, p->text + p->ntext, p->room - p->ntext - 1);
    if (n <= 0)
        return ended(p);
    p->ntext += (size_t)n;
    p->text[p->ntext] = 0;
    return p->ntext < LONGEST_LINE || failed(p, "its answer has no end");
}

/* The next line as JSON; NULL: it has failed. */
static cJSON *answer(Peer *p)
{
    double end = seconds_now() + p->patience;
    char *newline;
    while (!p->ntext || !(newline = memchr(p->text, '\n', p->ntext)))
        if (!read_more(p, end))
            return NULL;
    *newline = 0;
    cJSON *o = cJSON_Parse(p->text);
    const char *why = cJSON_GetStringValue(cJSON_GetObjectItem(o, "error"));
    if (!o)
        failed(p, "its answer is no JSON: %.60s", p->text);
    else if (why)
        failed(p, "%s", why);
    if (!o || why) {
        cJSON_Delete(o);
        return NULL;
    }
    size_t used = (size_t)(newline + 1 - p->text);
    memmove(p->text, newline + 1, p->ntext -= used);
    return o;
}

/* Sends o and frees it. */
static cJSON *ask(Peer *p, cJSON *o)
{
    bool sent = p->fd >= 0 && send_line(p, o);
    cJSON_Delete(o);
    return sent ? answer(p) : NULL;
}

bool peer_subject(Peer *p, cJSON *subject)
{
    cJSON *o = cJSON_CreateObject(), *a, *way;
    cJSON_AddItemToObject(o, "subject", subject);
    p->nways = 0;
    if (!(a = ask(p, o)))
        return false;
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(a, "version"));
    snprintf(p->version, sizeof p->version, "%s", s ? s : "");
    cJSON_ArrayForEach(way, cJSON_GetObjectItem(a, "ways"))
        if (cJSON_IsString(way) && p->nways < MAX_WAYS)
            snprintf(p->way[p->nways++], sizeof p->way[0], "%s",
                     way->valuestring);
    cJSON_Delete(a);
    return p->nways || failed(p, "its answer names no way to run");
}

double peer_run(Peer *p, int way)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "run", p->way[way]);
    cJSON *a = ask(p, o), *s = cJSON_GetObjectItem(a, "seconds");
    double seconds = cJSON_IsNumber(s) ? s->valuedouble : 0;
    cJSON_Delete(a);
    if (a && !(seconds > 0))
        failed(p, "its answer has no seconds");
    return seconds > 0 ? seconds : -1;
}

/* ---- a model as a peer reads it ---- */

/* Writes it as `graft apply copy MODEL -o OUT [--dtype NAME]` does. */
static bool copy(const char *model, const char *out, const char *dtype)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *const argv[] = {self, "apply", "copy",  model,
                                "-o", out,     "--quiet",
                                dtype ? "--dtype" : NULL, dtype, NULL};
    if (n < 0)
        return false;
    self[n] = 0;
    int status = -1, pid = spawn((char *const *)(uintptr_t)argv, -1, -1);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        if (rt_interrupted)
            kill(pid, SIGINT);
    return status == 0;
}

void peer_make_gguf(Peer *p, const char *model, const char *dtype)
{
    const char *base = getenv("TMPDIR");
    char folder[4096];
    snprintf(folder, sizeof folder, "%.4000s/graft-bench-XXXXXX",
             base && *base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        failed(p, "%s: %s", folder, strerror(errno));
        return;
    }
    p->file = intern_printf("%s/model.gguf", folder);
    if (!copy(model, p->file, dtype))
        failed(p, "not compared: `graft apply copy %s -o OUT.gguf` fails",
               model);
}

void peer_drop_gguf(Peer *p)
{
    if (!p->file)
        return;
    unlink(p->file);
    char *folder = strdup(p->file);
    *strrchr(folder, '/') = 0;
    rmdir(folder);
    free(folder);
    p->file = NULL;
}
