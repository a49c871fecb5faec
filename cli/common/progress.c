/* How far long work is: a bar with rate and time left on a terminal, a plain
 * line now and then elsewhere. */
#include "cli/common/common.h"
#include <string.h>
#include <unistd.h>

static const double bar_every = 0.1, line_every = 10; /* seconds */

const char *progress_amount(char buf[32], double amount, const char *unit)
{
    static const char *const sizes[] = {"B", "kB", "MB", "GB", "TB"};
    size_t i = 0;
    if (strcmp(unit, "B")) {
        snprintf(buf, 32, "%.*f %s", amount < 10 && amount != (int)amount,
                 amount, unit);
        return buf;
    }
    for (; amount >= 999.5 && i + 1 < COUNT(sizes); i++)
        amount /= 1000;
    snprintf(buf, 32, "%.*f %s", i && amount < 99.5 ? 2 - (amount >= 9.995) : 0,
             amount, sizes[i]);
    return buf;
}

Progress progress_begin(const Common *common, const char *what,
                        const char *unit, int64_t total)
{
    double now = seconds_now();
    return (Progress){.what = what, .unit = unit, .total = total,
                      .began = now, .shown = now, .silent = common->quiet,
                      .terminal = isatty(STDERR_FILENO)};
}

static void time_left(char buf[32], const Progress *p, double rate)
{
    if (p->total <= 0 || rate <= 0) {
        *buf = 0;
        return;
    }
    double left = (double)(p->total - p->done) / rate;
    if (left < 60)
        snprintf(buf, 32, ", %.0f s left", left);
    else
        snprintf(buf, 32, ", %.0f min left", left / 60);
}

static void draw_bar(const Progress *p)
{
    enum { WIDTH = 24 };
    int full = (int)((double)p->done / (double)p->total * WIDTH);
    fputs(" [", stderr);
    for (int i = 0; i < WIDTH; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3d%%", (int)((double)p->done / (double)p->total * 100));
}

static void show(const Progress *p, double now)
{
    char amount[32], total[32], speed[32], left[32];
    double rate = (double)p->done / (now - p->began + 1e-9);
    time_left(left, p, rate);
    fputs(p->terminal ? "\r" : "", terminal_stderr());
    fputs(p->what, stderr);
    if (p->terminal && p->total > 0)
        draw_bar(p);
    fprintf(stderr, " %s", progress_amount(amount, (double)p->done, p->unit));
    if (p->total > 0)
        fprintf(stderr, " of %s",
                progress_amount(total, (double)p->total, p->unit));
    fprintf(stderr, ", %s/s%s%s", progress_amount(speed, rate, p->unit), left,
            p->more);
    fputs(p->terminal ? "\033[K" : "\n", terminal_stderr());
}

void progress_at(Progress *p, int64_t done)
{
    p->done = done;
    if (p->silent)
        return;
    double now = seconds_now();
    if (now - p->shown < (p->terminal ? bar_every : line_every))
        return;
    p->shown = now;
    show(p, now);
}

/* Wipes the bar and leaves one line, where there was something to wait for. */
void progress_end(Progress *p)
{
    double now = seconds_now(), took = now - p->began;
    char amount[32], speed[32];
    if (p->silent)
        return;
    if (p->terminal)
        fputs("\r\033[K", terminal_stderr());
    if (took < 0.5 && p->shown == p->began)
        return;
    double done = (double)p->done;
    fprintf(stderr, "%s: %s in %.1f s", p->what,
            progress_amount(amount, done, p->unit), took);
    fprintf(stderr, ", %s/s\n",
            progress_amount(speed, done / took, p->unit));
}
