/* All that can be known of a run before it begins: each action's models, data
 * and paths are opened as they are planned, and what they take is held against
 * what is free. With --dry it is told, too. */
#include "cli/train/checkpoint.h"
#include "cli/train/folder.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What the run will write, and the most memory that one of its stages keeps. */
typedef struct {
    Run *r;
    int64_t disk;
    int stages;
} Ahead;

PRINTF(2, 3) static void tell(const Ahead *a, const char *fmt, ...)
{
    va_list ap;
    if (!a->r->o->dry)
        return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static double mb(int64_t bytes)
{
    return (double)bytes / 1e6;
}

/* ---- what there is not yet ---- */

static bool can_be(const Action *act, Err *err)
{
    static const TrainOption none[] = {TRAIN_teacher, TRAIN_mix,
                                       TRAIN_temperature};
    static const char *const name[] = {"teacher", "mix", "temperature"};
    if (act->kind == ACT_observe)
        return err_set(err, "`observe` cannot be run yet; `graft eval --stats` "
                            "shows the stats of a saved model");
    for (size_t i = 0; act->kind == ACT_train && i < COUNT(none); i++)
        if (act->option[none[i]].given)
            return err_set(err, "%s: the option `%s` cannot be run yet",
                           act->name, name[i]);
    return true;
}

/* ---- data ---- */

static void tell_lengths(const Ahead *a, const Data *d)
{
    int64_t edge[DATA_EDGES], count[DATA_EDGES];
    int n = data_histogram(d, edge, count);
    for (int i = 0; i < n; i++)
        if (count[i])
            tell(a, "    of the file up to %lld tokens: %lld",
                 (long long)edge[i], (long long)count[i]);
}

/* Tokens of one kind, learned ones between marks. */
static void tell_run(const Fed *f, const int32_t *id, int n, bool learned)
{
    if (learned)
        fputs("\xc2\xab", stdout);
    char *text = f->tokenizer ? tokenizer_decode(f->tokenizer, id, (size_t)n,
                                                 DECODE_special |
                                                     DECODE_continue, NULL)
                              : NULL;
    if (text)
        fputs(text, stdout);
    for (int i = 0; !text && i < n; i++)
        printf("%s%d", i ? " " : "", id[i]);
    fputs(learned ? "\xc2\xbb" : text ? "" : " ", stdout);
    free(text);
}

static bool is_learned(const Example *x, int i)
{
    return i > 0 && x->label[i] != NO_LABEL;
}

static void tell_example(const Ahead *a, const Fed *f)
{
    const Example *x = &f->data.example.at[f->part.at[0]];
    if (!a->r->o->dry)
        return;
    printf("  its first example (line %d), learned tokens marked:\n    ",
           x->line);
    for (int i = 0, n; i < x->n; i += n) {
        for (n = 1; i + n < x->n &&
                    is_learned(x, i + n) == is_learned(x, i);)
            n++;
        tell_run(f, x->id + i, n, is_learned(x, i));
    }
    putchar('\n');
}

static void tell_data(const Ahead *a, const Fed *f, const RunData *d)
{
    int64_t tokens = 0, labelled = 0;
    for (int i = 0; i < f->part.n; i++) {
        tokens += f->data.example.at[f->part.at[i]].n;
        labelled += f->data.example.at[f->part.at[i]].labelled;
    }
    tell(a, "  data %s: %d examples, %lld tokens, %lld of them learned",
         d->spec.path, f->part.n, (long long)tokens, (long long)labelled);
    if (f->data.cut || f->data.left_out || f->data.bad)
        tell(a, "    of the file %d cut to the length, %d left out, %d bad",
             f->data.cut, f->data.left_out, f->data.bad);
    tell_lengths(a, &f->data);
}

/* ---- a stage ---- */

static int64_t memory_needed(const Stage *s)
{
    int64_t bytes = 0;
    for (int i = 0; i < s->params.param.n; i++) {
        const Param *q = &s->params.param.at[i];
        if (q->trained)
            bytes += update_bytes(q, s->act->option, s->run->exact) +
                     type_bytes(s->run->exact ? TYPE_f64 : TYPE_f32, q->count);
        else if (q->made || s->run->exact || q->weight->stacked)
            bytes += type_bytes(q->dtype, q->count);
    }
    return bytes;
}

/* Numbers of what trains, or of what does not, and how many tensors. */
static int64_t numbers(const Stage *s, bool trained, int *n)
{
    int64_t sum = 0;
    *n = 0;
    for (int i = 0; i < s->params.param.n; i++)
        if (s->params.param.at[i].trained == trained) {
            sum += s->params.param.at[i].count;
            ++*n;
        }
    return sum;
}

static void tell_stage(const Ahead *a, const Stage *s)
{
    int trained, frozen;
    int64_t moves = numbers(s, true, &trained),
            stays = numbers(s, false, &frozen);
    tell(a, "%s: %lld steps of %lld examples, %s", s->act->name,
         (long long)s->steps, (long long)s->order.batch,
         s->act->option[TRAIN_optimizer].word);
    tell(a, "  trains %.3f million numbers of %d weights, %.3f million of %d "
            "are frozen", mb(moves), trained, mb(stays), frozen);
    for (int i = 0; i < s->params.param.n; i++)
        if (s->params.param.at[i].learned)
            tell(a, "    %s: %lld to learn", s->params.param.at[i].name,
                 (long long)s->params.param.at[i].count);
    tell(a, "  memory: %.1f MB for weights, gradients and states; %.1f MB are "
            "free", mb(memory_needed(s)), mb(memory_free()));
    tell_data(a, &s->fed, s->act->data);
    tell_example(a, &s->fed);
}

static bool look_at_stage(Ahead *a, const Action *act, Err *err)
{
    enum { KEPT = 3 }; /* two checkpoints, and one that is being written */
    Stage s = {0};
    bool fine = stage_open(&s, a->r, act, true, err);
    int64_t needed = fine ? memory_needed(&s) : 0, there = memory_free();
    if (fine)
        tell_stage(a, &s);
    if (fine && needed > there)
        fine = err_set(err, "%s: weights, gradients and states take %.1f MB, "
                            "%.1f MB of memory are free", act->name,
                       mb(needed), mb(there));
    if (fine)
        a->disk += s.opened.plan.bytes + KEPT * checkpoint_bytes(&s);
    stage_free(&s);
    return fine;
}

/* ---- other actions ---- */

static bool look_at_save(Ahead *a, int i, Err *err)
{
    const Action *act = &a->r->plan.action.at[i];
    struct stat st;
    Opened o;
    bool ours = !a->r->o->restart &&
                folder_marked(a->r, arena_printf(&a->r->plan.arena,
                                                 "saving-%d", i));
    if (!stat(act->out, &st) && !ours && !a->r->o->restart)
        return err_set(err, "%s: it is there already", act->out);
    bool fine = opened_make(&o, &a->r->plan, act->model, a->r->common, NULL,
                            a->r, err);
    if (fine) {
        tell(a, "save %s to %s: %.1f MB", act->name, act->out,
             mb(o.plan.bytes));
        a->disk += o.plan.bytes;
    }
    opened_close(&o);
    return fine;
}

static bool look_at_eval(Ahead *a, const Action *act, Err *err)
{
    Opened o;
    Fed f;
    bool fine = eval_open(&o, &f, a->r, act, true, err);
    if (fine) {
        tell(a, "eval %s", act->name);
        tell_data(a, &f, act->data);
    }
    fed_free(&f);
    opened_close(&o);
    return fine;
}

static bool look_at(Ahead *a, int i, Err *err)
{
    const Action *act = &a->r->plan.action.at[i];
    switch (act->kind) {
    case ACT_train: return look_at_stage(a, act, err);
    case ACT_save:  return look_at_save(a, i, err);
    case ACT_eval:  return look_at_eval(a, act, err);
    default:        return true;
    }
}

/* Room on the disk that the run's folder will be on. */
static bool fits_disk(const Ahead *a, Err *err)
{
    struct statvfs v;
    char *folder = arena_printf(&a->r->plan.arena, "%s", a->r->folder);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (statvfs(slash ? folder : ".", &v))
        return err_set(err, "%s: %s", slash ? folder : ".", strerror(errno));
    int64_t there = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    tell(a, "disk: %.1f MB at most, %.1f MB are free", mb(a->disk), mb(there));
    return a->disk <= there ||
           err_set(err, "%s: models and checkpoints take up to %.1f MB, %.1f "
                        "MB of its disk are free", a->r->folder, mb(a->disk),
                   mb(there));
}

bool run_look_ahead(Run *r, Err *err)
{
    Ahead a = {.r = r};
    for (int i = 0; i < r->plan.action.n; i++)
        if (!can_be(&r->plan.action.at[i], err))
            return false;
    for (int i = 0; i < r->plan.action.n; i++)
        if (!look_at(&a, i, err))
            return false;
    return fits_disk(&a, err);
}
