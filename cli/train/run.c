/* A recipe run: planned, checked, its actions done in order. */
#include "cli/train/run.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    struct stat st;
    if (!mkdir(path, 0777) || (!stat(path, &st) && S_ISDIR(st.st_mode)))
        return true;
    return err_set(err, "%s: the folder cannot be made", path);
}

static bool run_train(Run *r, const Action *act, Err *err)
{
    Stage s;
    struct stat st;
    const char *folder = run_stage_folder(r, act->stage);
    if (!stat(folder, &st))
        return true; /* it is done */
    bool fine = make_folder(arena_printf(&r->plan.arena, "%s/%s", r->folder,
                                         act->name), err) &&
                stage_open(&s, r, act, false, err) && stage_begin(&s, err) &&
                stage_train(&s, err);
    if (fine && !r->o->gradients && !rt_interrupted)
        fine = stage_save(&s, folder, err);
    stage_free(&s);
    return fine;
}

static bool run_action(Run *r, const Action *act, Err *err)
{
    switch (act->kind) {
    case ACT_train: return run_train(r, act, err);
    case ACT_save:  return model_save(r, act->model, act->out, err);
    default:        return true;
    }
}

bool recipe_run(const RunOptions *o, Err *err)
{
    Run r = {.o = o, .common = o->common, .lock = -1,
             .exact = o->common->has_dtype && o->common->dtype == TYPE_f64};
    if (o->common->target != TARGET_interp)
        return err_set(err, "recipes run with --target interp so far");
    bool fine = run_plan_make(&r.plan, o, err);
    if (fine) {
        const char *out = r.plan.out ? r.plan.out : r.plan.recipe->text;
        size_t len = strlen(out);
        while (len > 1 && out[len - 1] == '/')
            len--;
        r.folder = arena_printf(&r.plan.arena, "%.*s.run", (int)len, out);
        fine = make_folder(r.folder, err) && log_open(&r, err);
    }
    for (int i = 0; fine && i < r.plan.action.n && !rt_interrupted; i++) {
        fine = run_action(&r, &r.plan.action.at[i], err);
        if (o->gradients)
            break;
    }
    Err late;
    if (!log_close(&r, &late) && fine) {
        *err = late;
        fine = false;
    }
    run_plan_free(&r.plan);
    return fine;
}
