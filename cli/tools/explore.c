/* graft explore: tries schedules for the kernels of a model or a module, keeps
 * what is faster where later compiles look, and says what limits each. */
#include "cli/tools/explore.h"
#include <errno.h>
#include <math.h>
#include <string.h>

enum { KEY_tokens = 1, KEY_seconds, KEY_html };

static const struct argp_option options[] = {
    {"tokens", KEY_tokens, "1,16,512", 0, "How many at a time (1,16,512)", 1},
    {"seconds", KEY_seconds, "N", 0, "Time to spend (60)", 1},
    {"html", KEY_html, "OUT", 0, "Write a page with every candidate", 1},
    {0}};

static int by_number(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

static void take_tokens(Explore *e, char *arg, struct argp_state *state)
{
    free(e->tokens);
    e->tokens = option_ids(state, arg, &e->ntokens);
    if (e->ntokens > EXPLORE_TOKENS)
        argp_error(state, "--tokens: at most %d numbers", EXPLORE_TOKENS);
    for (int i = 0; i < e->ntokens; i++)
        if (e->tokens[i] < 1 || e->tokens[i] > 65536)
            argp_error(state, "--tokens: 1 to 65536");
    qsort(e->tokens, (size_t)e->ntokens, sizeof *e->tokens, by_number);
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Explore *e = state->input;
    switch (k) {
    case KEY_tokens: take_tokens(e, arg, state); break;
    case KEY_seconds:
        e->seconds = option_real(state, "--seconds", arg, 0, 1e6);
        break;
    case KEY_html: e->html = arg; break;
    case ARGP_KEY_ARG:
        if (!e->what)
            e->what = arg;
        else
            args_add(&e->arg, &e->arena, "a parameter", arg, state);
        break;
    case ARGP_KEY_END:
        if (!e->what)
            argp_error(state, "needs FILE.graft:MODULE or a model");
        if (e->arg.n && !is_spec(e->what, NULL))
            argp_error(state, "name=value is of a module");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "FILE:MODULE|MODEL [name=value...]",
    "Try schedules for each kernel of a model, or of a module with its "
    "parameters given, on this machine. What is faster is kept where later "
    "compiles look, and printed as text that can be pinned. Ctrl-C stops and "
    "keeps the best.",
    NULL, NULL, NULL};

/* ---- the kernels ---- */

static bool same_key(const KernelKey *a, const KernelKey *b)
{
    bool same = a->skeleton == b->skeleton && a->x == b->x && a->w == b->w &&
                a->n == b->n;
    for (int i = 0; same && i < a->n; i++)
        same = a->part[i].before == b->part[i].before &&
               a->part[i].size == b->part[i].size;
    return same;
}

static bool is_pinned(const Loaded *l, const KernelKey *key)
{
    const Schedule none = {0}, s = pins_for(&l->pins, key, false);
    return memcmp(&s, &none, sizeof s) != 0;
}

static void add_kernel(Explore *e, const Loaded *l, const Kernel *k, int calls)
{
    KernelKey name;
    if (!kernel_key(k, &name) || is_pinned(l, &name))
        return;
    for (int i = 0; i < e->kernel.n; i++)
        if (same_key(&e->kernel.at[i]->key, &name)) {
            e->kernel.at[i]->calls += calls;
            return;
        }
    Explored *x = arena_alloc(&e->arena, sizeof *x);
    *x = (Explored){.kernel = k, .key = name, .calls = calls,
                    .before = k->schedule, .after = k->schedule};
    list_push(&e->arena, &e->kernel, x);
}

static void add_plan(Explore *e, const Loaded *l, const Plan *p, int calls)
{
    for (int i = 0; i < p->kernel.n; i++) {
        const Kernel *k = p->kernel.at[i];
        if (!kernel_panels(k)) /* one kernel alone has not its panels */
            add_kernel(e, l, k, calls);
        for (int j = 0; k->skeleton == SKEL_repeat && j < k->repeat.n; j++)
            add_plan(e, l, k->repeat.body[j], calls);
    }
}

/* ---- roofs ---- */

double explore_roof(const Explore *e, const Explored *k, int i, double seconds,
                    const char **limit)
{
    ProgramWork w = kernel_work(k->kernel, e->tokens[i]);
    double multiply = peaks_seconds(&e->peaks, &w);
    double read = 1e-9 * w.bytes / e->peaks.read;
    double roof = fmax(multiply, read);
    *limit = roof < 0.3 * seconds ? "overhead"
             : multiply > read    ? "multiplies"
                                  : "memory";
    return roof;
}

/* ---- the search over all ---- */

/* A kernel's part of the time: what it takes by its roof, and a call's cost. */
static double weight(const Explore *e, const Explored *k)
{
    double sum = 0;
    const char *limit;
    for (int i = 0; i < e->ntokens; i++)
        sum += explore_roof(e, k, i, 0, &limit) + 5e-6;
    return sum * k->calls;
}

static int by_weight(const void *a, const void *b)
{
    double x = (*(Explored *const *)a)->share;
    double y = (*(Explored *const *)b)->share;
    return (x < y) - (x > y);
}

static void search_all(Explore *e)
{
    /* the rest: to see that it holds */
    double left = 0, over = seconds_now() + 0.75 * e->seconds;
    for (int i = 0; i < e->kernel.n; i++) {
        e->kernel.at[i]->share = weight(e, e->kernel.at[i]);
        left += e->kernel.at[i]->share;
    }
    qsort(e->kernel.at, (size_t)e->kernel.n, sizeof *e->kernel.at, by_weight);
    Progress p = progress_begin(&e->common, "explore", "candidates", 0);
    int tried = 0;
    for (int i = 0; i < e->kernel.n && !rt_interrupted; i++) {
        Explored *k = e->kernel.at[i];
        double now = seconds_now(), share = k->share / left;
        left -= k->share;
        explore_kernel(e, k, now + share * (over > now ? over - now : 0));
        tried += k->tried.n;
        progress_at(&p, tried);
    }
    progress_end(&p);
}

/* Of choices by T only those that were measured. */
static void add_found(const Explore *e, const Explored *k, Pins *found)
{
    Schedule s = k->after;
    bool seen[BUCKETS] = {false};
    for (int i = 0; i < e->ntokens; i++)
        for (int b = 0; b < BUCKETS; b++)
            seen[b] |= e->tokens[i] <= bucket_end[b] &&
                       (!b || e->tokens[i] > bucket_end[b - 1]);
    for (int b = 0; b < BUCKETS; b++)
        if (!seen[b])
            s.block[b] = s.tasks[b] = s.heads[b] = 0;
    pins_put(found, &k->key, &s);
}

static double whole_ratio(const Explore *e)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < e->ntokens; i++)
        if (e->old[i] > 0 && isfinite(e->new[i])) {
            sum += log(e->new[i] / e->old[i]);
            n++;
        }
    return n ? exp(sum / n) : 1;
}

/* Kept, unless the whole got slower by it. */
static bool keep(Explore *e, Loaded *l, const Pins *found, Err *err)
{
    if (!found->at.n)
        return true;
    if (!rt_interrupted && !explore_whole(e, l, found, err))
        return false;
    e->kept = whole_ratio(e) <= 1;
    return !e->kept || schedules_keep(found, err);
}

/* ---- what is said ---- */

static const char *key_text(Explore *e, const KernelKey *k)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    kernel_key_print(k, out);
    fclose(out);
    const char *copy = arena_printf(&e->arena, "%s", text);
    free(text);
    return copy;
}

static void say_line(Explore *e, const Explored *k, int i)
{
    ProgramWork w = kernel_work(k->kernel, e->tokens[i]);
    const char *limit;
    double roof = explore_roof(e, k, i, k->new[i], &limit);
    printf("%-42s %6d %5d %9.3f %9.3f %9.4f %9.4f %9.4f  %s\n",
           key_text(e, &k->key), e->tokens[i], k->tried.n, 1e-6 * w.bytes,
           1e-9 * w.flops, 1e3 * roof, 1e3 * k->old[i], 1e3 * k->new[i], limit);
}

static void say_whole(const Explore *e)
{
    for (int i = 0; i < e->ntokens; i++)
        if (e->old[i] > 0)
            printf("the whole, %d tokens: %.3f ms, was %.3f ms\n",
                   e->tokens[i], 1e3 * e->new[i], 1e3 * e->old[i]);
}

static void say_text(Explore *e, const Pins *found)
{
    char path[4400];
    printf("%-42s %6s %5s %9s %9s %9s %9s %9s  %s\n", "kernel", "tokens",
           "tried", "MB", "Gflop", "roof ms", "before", "after", "limit");
    for (int i = 0; i < e->kernel.n; i++)
        for (int j = 0; j < e->ntokens && e->kernel.at[i]->measured; j++)
            say_line(e, e->kernel.at[i], j);
    say_whole(e);
    if (!found->at.n) {
        puts("nothing faster was found");
        return;
    }
    pins_print(found, "found", found->at.n, stdout);
    if (e->kept && schedules_kept(path, sizeof path))
        printf("kept in %s\n", path);
    else
        puts("not kept: the whole is no faster by it");
}

static cJSON *json_line(Explore *e, const Explored *k, int i)
{
    ProgramWork w = kernel_work(k->kernel, e->tokens[i]);
    const char *limit;
    double roof = explore_roof(e, k, i, k->new[i], &limit);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kernel", key_text(e, &k->key));
    cJSON_AddNumberToObject(o, "calls", k->calls);
    cJSON_AddNumberToObject(o, "tokens", e->tokens[i]);
    cJSON_AddNumberToObject(o, "tried", k->tried.n);
    cJSON_AddNumberToObject(o, "bytes", w.bytes);
    cJSON_AddNumberToObject(o, "flops", w.flops);
    cJSON_AddNumberToObject(o, "roof_ms", 1e3 * roof);
    cJSON_AddNumberToObject(o, "before_ms", 1e3 * k->old[i]);
    cJSON_AddNumberToObject(o, "after_ms", 1e3 * k->new[i]);
    cJSON_AddStringToObject(o, "limit", limit);
    return o;
}

static void say_json(Explore *e, const Pins *found)
{
    char *text = NULL;
    size_t len;
    cJSON *o = cJSON_CreateObject();
    cJSON *rows = cJSON_AddArrayToObject(o, "rows");
    for (int i = 0; i < e->kernel.n; i++)
        for (int j = 0; j < e->ntokens && e->kernel.at[i]->measured; j++)
            cJSON_AddItemToArray(rows, json_line(e, e->kernel.at[i], j));
    cJSON *whole = cJSON_AddArrayToObject(o, "whole");
    for (int i = 0; i < e->ntokens; i++) {
        cJSON *w = cJSON_CreateObject();
        if (e->old[i] <= 0) {
            cJSON_Delete(w);
            continue;
        }
        cJSON_AddNumberToObject(w, "tokens", e->tokens[i]);
        cJSON_AddNumberToObject(w, "before_ms", 1e3 * e->old[i]);
        cJSON_AddNumberToObject(w, "after_ms", 1e3 * e->new[i]);
        cJSON_AddItemToArray(whole, w);
    }
    FILE *out = open_memstream(&text, &len);
    pins_print(found, "found", found->at.n, out);
    fclose(out);
    cJSON_AddNumberToObject(o, "found", found->at.n);
    cJSON_AddStringToObject(o, "schedule", text);
    cJSON_AddBoolToObject(o, "kept", e->kept);
    cJSON_AddBoolToObject(o, "stopped", rt_interrupted != 0);
    free(text);
    report_json(o);
}

static bool write_page(const Explore *e, const Pins *found, Err *err)
{
    if (!e->html)
        return true;
    char *text = explore_page(e, found);
    FILE *f = fopen(e->html, "w");
    bool fine = f && fputs(text, f) >= 0;
    if (f)
        fine = !fclose(f) && fine;
    free(text);
    return fine || err_set(err, "%s: %s", e->html, strerror(errno));
}

/* ---- the command ---- */

static bool compile(Explore *e, Loaded *l, Err *err)
{
    CpuOptions o = loaded_options(l);
    o.last_only = l->checkpoint != NULL;
    e->program = cpu_compile(model_graph(l->model, &l->arena), &o, err);
    return e->program != NULL;
}

static bool explore(Explore *e, Loaded *l, Err *err)
{
    Pins found = {.arena = &e->arena};
    if (!compile(e, l, err))
        return false;
    add_plan(e, l, program_plan(e->program), 1);
    const MachineModel *m = machine_model();
    e->peaks = e->common.threads == 1 ? m->one : m->all;
    e->memory = trial_memory(e->program);
    search_all(e);
    trial_memory_free(e->memory);
    for (int i = 0; i < e->kernel.n; i++)
        if (e->kernel.at[i]->better)
            add_found(e, e->kernel.at[i], &found);
    bool fine = keep(e, l, &found, err) && write_page(e, &found, err);
    if (fine && e->common.json)
        say_json(e, &found);
    else if (fine)
        say_text(e, &found);
    if (fine && rt_interrupted)
        report_note(&e->common, "stopped early; run it again to go on from "
                                "what was kept");
    return fine;
}

int command_explore(int argc, char **argv)
{
    static const int32_t usual[] = {1, 16, 512};
    Explore e = {.seconds = 60, .ntokens = COUNT(usual),
                 .common.compiled = true};
    e.tokens = xmalloc(sizeof usual);
    memcpy(e.tokens, usual, sizeof usual);
    options_parse(&argp, argc, argv, &e, &e.common);
    rt_catch_interrupts();
    Loaded l;
    Err err;
    bool fine = is_spec(e.what, NULL)
                    ? loaded_module(&l, e.what, &e.arg, &e.common, &err)
                    : loaded_open(&l, e.what, &e.common, &err);
    fine = fine && explore(&e, &l, &err);
    program_free(e.program);
    loaded_close(&l);
    int status = fine ? EXIT_done : report_error(&e.common, &err);
    free(e.tokens);
    arena_free(&e.arena);
    return status;
}
