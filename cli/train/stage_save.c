/* Models written as folders: what trained from memory, all else as apply does
 * it; what was learned beside the weights. */
#include "cli/train/run.h"
#include <string.h>

/* {"layer[0].ffn.mix": [..]}: malloc'ed, or NULL where nothing was learned. */
static char *learned_text(const Params *p)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    bool any = false;
    if (!f)
        die("out of memory");
    for (int i = 0; i < p->param.n; i++) {
        const Param *q = &p->param.at[i];
        if (!q->learned)
            continue;
        fprintf(f, "%s\"%s\": [", any ? ",\n " : "{", q->weight->path);
        for (int64_t j = 0; j < q->count; j++)
            fprintf(f, "%s%.17g", j ? ", " : "",
                    type_load(q->dtype, q->at, j));
        fputs("]", f);
        any = true;
    }
    fputs(any ? "}\n" : "", f);
    if (fclose(f))
        die("out of memory");
    if (any)
        return text;
    free(text);
    return NULL;
}

static bool write_all(Opened *o, const char *folder, const Common *common,
                      const char *learned, Err *err)
{
    const char *const meta[][2] = {{"graft.version", CLI_VERSION}};
    FilePlan plan = {0};
    const Common keep = {.has_dtype = common->has_dtype &&
                                      common->dtype == TYPE_f64,
                         .dtype = TYPE_f64};
    const Common as_it_is = {0};
    file_plan_make(&plan, &o->arena, &o->sources, o->model,
                   keep.has_dtype && !output_is_gguf(folder) ? &keep
                                                             : &as_it_is);
    Output out = {.path = folder, .common = &as_it_is, .made = o->model,
                  .source = o->sources.at[0].checkpoint, .plan = &plan,
                  .meta = (const char *(*)[2])meta, .metas = COUNT(meta),
                  .learned = learned};
    Writer *w = output_begin(&out, err);
    bool fine = w && weights_put(&o->sources, &plan, common, w, err);
    if (w && !fine)
        writer_cancel(w);
    else if (w)
        fine = writer_finish(w, err);
    output_free(&out);
    file_plan_free(&plan);
    return fine;
}

bool stage_save(Stage *s, const char *folder, Err *err)
{
    Sources *from = &s->opened.sources;
    char *learned = learned_text(&s->params);
    const Common quiet = {.threads = s->run->common->threads, .quiet = true,
                          .has_dtype = s->run->exact, .dtype = TYPE_f64};
    from->user = &s->params;
    from->given = params_given;
    bool fine = write_all(&s->opened, folder, &quiet, learned, err);
    from->given = NULL;
    free(learned);
    return fine;
}

bool model_save(Run *r, const RunModel *m, const char *folder, Err *err)
{
    Opened o;
    const Common quiet = {.threads = r->common->threads, .quiet = true};
    bool fine = opened_make(&o, &r->plan, m, &quiet, run_stage_folder, r, err);
    if (fine) {
        o.sources.exact = r->exact;
        fine = write_all(&o, folder, &quiet, NULL, err);
    }
    opened_close(&o);
    return fine;
}
