/* A model's training step, to be timed: a recipe made for it, whose stage takes
 * one step after the other over random tokens. */
#include "cli/train/folder.h"
#include "cli/train/run.h"
#include <string.h>
#include <unistd.h>

enum { EXAMPLE = 256 }; /* tokens of one, at most */

struct StepTimer {
    RunOptions o;
    Run run;
    Stage stage;
    int64_t tokens;
    Arena arena;
};

static const char recipe[] =
    "recipe timed(base, data, micro = 1, batch = 1) {\n"
    "  m = load(base)\n"
    "  train m on ids(data) {\n"
    "    batch batch, micro micro, steps 1000000, lr 1e-5, decay 0.1, "
    "order given\n"
    "  }\n"
    "}\n";

static int examples(const StepTimer *t)
{
    return (int)((t->tokens + EXAMPLE - 1) / EXAMPLE);
}

/* As many tokens as a step has, any of the vocabulary. */
static bool write_data(const StepTimer *t, const char *path, int64_t V,
                       Err *err)
{
    FILE *f = fopen(path, "w");
    uint64_t key = random_key(1, "tokens");
    for (int64_t i = 0; f && i < t->tokens; i++) {
        bool first = i % EXAMPLE == 0,
             last = i % EXAMPLE == EXAMPLE - 1 || i + 1 == t->tokens;
        double u = random_uniform(key, (uint64_t)i);
        fprintf(f, "%s%lld%s", first ? "{\"ids\": [" : ", ",
                (long long)(u * (double)V), last ? "]}\n" : "");
    }
    return (f && !fclose(f)) || err_set(err, "%s: cannot be written", path);
}

static void give(StepTimer *t, const char *name, const char *value)
{
    const char *text = arena_printf(&t->arena, "%s=%s", name, value);
    args_add(&t->o.arg, &t->arena, "a parameter", text, NULL);
}

static bool files_made(StepTimer *t, const char *model, int64_t V,
                       const char *folder, Err *err)
{
    const char *text = arena_printf(&t->arena, "%s/timed.graft", folder),
               *data = arena_printf(&t->arena, "%s/data.jsonl", folder);
    give(t, "base", model);
    give(t, "data", data);
    give(t, "micro", arena_printf(&t->arena, "%lld", (long long)t->tokens));
    give(t, "batch", arena_printf(&t->arena, "%d", examples(t)));
    t->o.recipe = arena_printf(&t->arena, "%s:timed", text);
    return file_write(text, recipe, strlen(recipe), err) &&
           write_data(t, data, V, err);
}

static bool opened(StepTimer *t, Err *err)
{
    Run *r = &t->run;
    r->exact = t->o.common->has_dtype && t->o.common->dtype == TYPE_f64;
    if (!run_plan_make(&r->plan, &t->o, err))
        return false;
    r->folder = "/dev";
    r->log = fopen("/dev/null", "w");
    return (r->log || err_set(err, "/dev/null: cannot be written")) &&
           stage_open(&t->stage, r, &r->plan.action.at[0], true, err) &&
           stage_begin(&t->stage, err);
}

StepTimer *step_timer_new(const char *model, int64_t V, int64_t tokens,
                          const Common *common, Err *err)
{
    char folder[] = "/tmp/graft-XXXXXX";
    StepTimer *t = xmalloc(sizeof *t);
    *t = (StepTimer){.tokens = tokens, .o.common = common};
    t->run = (Run){.o = &t->o, .common = common, .lock = -1};
    bool there = mkdtemp(folder) != NULL,
         fine = there || err_set(err, "%s: cannot be made", folder);
    fine = fine && files_made(t, model, V, folder, err) && opened(t, err);
    if (there)
        folder_remove(folder);
    if (fine)
        return t;
    step_timer_free(t);
    return NULL;
}

double step_timer_run(StepTimer *t, Err *err)
{
    double began = seconds_now();
    return stage_step(&t->stage, err) ? seconds_now() - began : -1;
}

/* Multiplications of one example, times the examples; weights three times, for
 * what they multiply, their gradients and their move, and states read and
 * written. */
ProgramWork step_timer_work(const StepTimer *t)
{
    const Params *p = &t->stage.params;
    int64_t length = t->tokens < EXAMPLE ? t->tokens : EXAMPLE;
    double times = (double)t->tokens / (double)length;
    ProgramWork w = runner_work(t->stage.runner, length);
    w.flops *= times;
    w.dots *= times;
    w.amx *= times;
    w.codes *= times;
    w.bytes = 0;
    for (int i = 0; i < p->param.n; i++) {
        const Param *q = &p->param.at[i];
        w.bytes += 3 * (double)type_bytes(q->dtype, q->count);
        if (q->trained)
            w.bytes += 2 * (double)update_bytes(q, t->stage.act->option,
                                                p->exact);
    }
    return w;
}

void step_timer_free(StepTimer *t)
{
    if (!t)
        return;
    Err none;
    stage_free(&t->stage);
    log_close(&t->run, &none);
    run_plan_free(&t->run.plan);
    arena_free(&t->arena);
    free(t);
}
