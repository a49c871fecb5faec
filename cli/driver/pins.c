/* Schedules that are pinned: those of a spec, then those of --schedule. */
#include "cli/driver/pins.h"
#include <string.h>

static bool add_all(Pins *p, const Ast *file)
{
    bool good = true;
    for (int i = 0; i < file->nkid; i++)
        if (file->kid[i]->kind == AST_schedule)
            good = pins_add(p, file->kid[i]) && good;
    return good;
}

bool pins_of_spec(Pins *p, const Spec *s)
{
    const Ast *const *file;
    int n = spec_files(s, &file);
    bool good = true;
    for (int i = 0; i < n; i++)
        good = add_all(p, file[i]) && good;
    return good;
}

static bool add_file(Pins *p, const char *path, Err *err)
{
    Diags *diags = arena_alloc(p->arena, sizeof *diags);
    Source *src = arena_alloc(p->arena, sizeof *src);
    if (!source_read(p->arena, path, diags, src, err))
        return false;
    int before = p->at.n;
    bool good = add_all(p, dsl_parse(p->arena, src)) && !diags->errors;
    diags_free(diags);
    if (good && p->at.n == before)
        return err_set(err, "%s: holds no schedule", path);
    return good || err_set(err, "%s: mistakes in its schedules, see above",
                           path);
}

bool pins_open(Pins *p, const Spec *s, const Common *common, Err *err)
{
    if (s && !pins_of_spec(p, s))
        return err_set(err, "mistakes in schedules, see above");
    return !common->schedule || add_file(p, common->schedule, err);
}

void pins_close(const Pins *p, const Common *common)
{
    const Source *src;
    Loc loc;
    int line, col;
    for (int i = 0; pins_idle(p, &i, &src, &loc);) {
        if (src->path != common->schedule)
            continue;
        loc_place(src, loc.at, &line, &col);
        report_note(common, "note: %s:%d:%d: no kernel here has this shape",
                    src->path, line, col);
    }
}
