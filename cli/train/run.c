/* A recipe run: planned, checked, its actions done in order. */
#include "cli/train/checkpoint.h"
#include "cli/train/folder.h"
#include "cli/train/report.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

const char *run_stage_folder(void *run, int stage)
{
    Run *r = run;
    for (int i = 0; i < r->plan.action.n; i++)
        if (r->plan.action.at[i].kind == ACT_train &&
            r->plan.action.at[i].stage == stage)
            return arena_printf(&r->plan.arena, "%s/%s/model", r->folder,
                                r->plan.action.at[i].name);
    BUG("no stage %d", stage);
}

static bool make_folder(const char *path, Err *err)
{
    return !mkdir(path, 0777) || errno == EEXIST ||
           err_set(err, "%s: the folder cannot be made: %s", path,
                   strerror(errno));
}

/* From the last checkpoint to the stage's model. */
static bool go_on(Run *r, Stage *s, const Action *act, Err *err)
{
    if (!stage_open(s, r, act, false, err) || !stage_begin(s, err))
        return false;
    if (r->o->gradients)
        return stage_train(s, err);
    if (!checkpoint_read(s, err) || !log_cut(r, act->stage, s->at, err))
        return false;
    if (s->at > 0)
        report_note(r->common, "%s goes on at step %lld of %lld", act->name,
                    (long long)s->at, (long long)s->steps);
    return stage_train(s, err) &&
           stage_save(s, run_stage_folder(r, act->stage), err);
}

static bool run_train(Run *r, const Action *act, Err *err)
{
    Stage s = {0};
    struct stat st;
    const char *folder = run_stage_folder(r, act->stage);
    if (!r->o->gradients && !stat(folder, &st)) {
        report_note(r->common, "%s is done", act->name);
        return true;
    }
    files_sweep(folder);
    bool fine = make_folder(arena_printf(&r->plan.arena, "%s/%s", r->folder,
                                         act->name), err) &&
                go_on(r, &s, act, err);
    stage_free(&s);
    return fine;
}

/* What is there under the name is ours if the mark says so: it was begun by
 * this run, and is whole. */
static bool run_save(Run *r, const Action *act, int i, Err *err)
{
    struct stat st;
    const char *mark = arena_printf(&r->plan.arena, "saving-%d", i);
    bool there = !stat(act->out, &st);
    if (there && folder_marked(r, mark)) {
        report_note(r->common, "%s is there", act->out);
        return true;
    }
    if (there)
        return err_set(err, "%s: it is there already", act->out);
    bool fine = folder_mark(r, mark, err) &&
                model_save(r, act->model, act->out, err);
    if (fine)
        report_note(r->common, "%s: saved", act->out);
    return fine;
}

static bool run_action(Run *r, int i, Err *err)
{
    const Action *act = &r->plan.action.at[i];
    switch (act->kind) {
    case ACT_train: return run_train(r, act, err);
    case ACT_save:  return run_save(r, act, i, err);
    case ACT_eval:  return eval_run(r, act, i, err);
    default:        return true;
    }
}

static bool run_all(Run *r, Err *err)
{
    for (int i = 0; i < r->plan.action.n; i++) {
        bool trains = r->plan.action.at[i].kind == ACT_train;
        if (rt_interrupted)
            return err_set(err, "stopped; the same command goes on");
        if ((trains || !r->o->gradients) && !run_action(r, i, err))
            return false;
        if (trains && r->o->gradients)
            return true;
    }
    evals_table(r);
    return !r->o->gradients || err_set(err, "--gradients: the recipe trains "
                                            "nothing");
}

/* OUT.run, beside what is saved first. */
static void name_folder(Run *r)
{
    const char *out = r->plan.out ? r->plan.out : r->plan.recipe->text;
    size_t len = strlen(out);
    while (len > 1 && out[len - 1] == '/')
        len--;
    r->folder = arena_printf(&r->plan.arena, "%.*s.run", (int)len, out);
}

/* A folder that is new goes again where nothing can begin. */
static bool begin(Run *r, Err *err)
{
    if (run_look_ahead(r, err))
        return log_open(r, err) && run_all(r, err) &&
               (r->o->gradients || report_write(r, err));
    if (r->fresh)
        folder_remove(r->folder);
    return false;
}

bool recipe_run(const RunOptions *o, Err *err)
{
    Run r = {.o = o, .common = o->common, .lock = -1,
             .exact = o->common->has_dtype && o->common->dtype == TYPE_f64};
    bool fine = run_plan_make(&r.plan, o, err);
    if (fine)
        name_folder(&r);
    fine = fine && (o->dry ? run_look_ahead(&r, err)
                           : folder_open(&r, err) && begin(&r, err));
    Err late;
    if (!log_close(&r, &late) && fine) {
        *err = late;
        fine = false;
    }
    folder_close(&r);
    run_plan_free(&r.plan);
    return fine;
}
