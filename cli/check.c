/* graft check: reads specs, reports their mistakes, proves their claims. */
#include "compiler/check/check.h"
#include "cli/driver/driver.h"
#include <math.h>
#include <string.h>

typedef struct {
    char **files;
    int count;
    bool verbose;
    Common common;
    cJSON *errors, *warnings, *claims; /* for --json */
    bool wrong; /* a mistake, or a claim that does not hold */
} Check;

static const struct argp_option options[] = {
    {"verbose", 'v', 0, 0, "Show how each proof goes", 1}, {0}};

static error_t key(int k, char *arg, struct argp_state *state)
{
    Check *c = state->input;
    (void)arg;
    switch (k) {
    case 'v':
        c->verbose = true;
        break;
    case ARGP_KEY_ARGS:
        c->files = state->argv + state->next;
        c->count = state->argc - state->next;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "needs a .graft file");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "FILE...",
    "Read .graft files, report what is wrong in them, and prove what they "
    "claim: `preserves` and `prove`. A claim that is refuted is an error; one "
    "that stays open is a warning.",
    NULL, NULL, NULL};

static const char *const result_name[] = {"proved", "refuted", "open"};

/* ---- as JSON ---- */

/* `end` is the column after the range, which ends with its first line. */
static void add_place(cJSON *o, const Source *src, Loc loc)
{
    int line, col, end_line, end;
    int len = loc.len > 0 ? loc.len : 1;
    if (loc.at < src->len) {
        int first = (int)strcspn(src->text + loc.at, "\r\n");
        len = first > 0 && first < len ? first : len;
    }
    loc_place(src, loc.at, &line, &col);
    loc_place(src, loc.at + len, &end_line, &end);
    cJSON_AddStringToObject(o, "file", src->path);
    cJSON_AddNumberToObject(o, "line", line);
    cJSON_AddNumberToObject(o, "col", col);
    if (end_line != line || end <= col)
        end = col + 1;
    cJSON_AddNumberToObject(o, "end", end);
}

static cJSON *said(const char *message)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "message", message);
    return o;
}

static void add_said(Check *c, const Diags *diags)
{
    for (int i = 0; i < diags->said.n; i++) {
        const Diag *d = &diags->said.at[i];
        bool error = d->severity == SEVERITY_error;
        cJSON *o = said(d->text);
        add_place(o, d->src, d->loc);
        cJSON_AddItemToArray(error ? c->errors : c->warnings, o);
    }
}

/* A file that could not be read has no line. */
static void add_unread(Check *c, const char *path, const Err *err)
{
    fprintf(stderr, "graft: %s\n", err->text);
    c->wrong = true;
    cJSON *o = said(err->text);
    cJSON_AddStringToObject(o, "file", path);
    cJSON_AddNumberToObject(o, "line", 0);
    cJSON_AddNumberToObject(o, "col", 0);
    cJSON_AddNumberToObject(o, "end", 0);
    cJSON_AddItemToArray(c->errors, o);
}

static void add_number(cJSON *o, const char *name, double v)
{
    if (isnan(v))
        cJSON_AddNullToObject(o, name);
    else
        cJSON_AddNumberToObject(o, name, v);
}

static void add_text(cJSON *o, const char *name, const char *text)
{
    if (text)
        cJSON_AddStringToObject(o, name, text);
    else
        cJSON_AddNullToObject(o, name);
}

static void add_claim(Check *c, const Claim *claim)
{
    const Proof *p = claim->proof;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", claim->name);
    cJSON_AddStringToObject(o, "text", claim->text);
    cJSON_AddBoolToObject(o, "claimed", !claim->silent);
    cJSON_AddStringToObject(o, "result", result_name[p->result]);
    add_text(o, "factor", p->factor);
    cJSON *rules = cJSON_AddArrayToObject(o, "rules");
    for (int i = 0; i < p->nrule; i++)
        cJSON_AddItemToArray(rules, cJSON_CreateString(p->rule[i]));
    cJSON_AddStringToObject(o, "why", p->why);
    add_text(o, "instance", p->instance);
    add_number(o, "diff_f32", p->diff_f32);
    add_number(o, "diff_bf16", p->diff_bf16);
    if (c->verbose)
        cJSON_AddStringToObject(o, "derivation", p->derivation);
    cJSON_AddItemToArray(c->claims, o);
}

/* ---- as text ---- */

static void print_proof(const Claim *claim, const char *indent)
{
    const Proof *p = claim->proof;
    if (p->nrule > 0)
        printf("%srules:", indent);
    for (int i = 0; i < p->nrule; i++)
        printf("%s %s", i ? "," : "", p->rule[i]);
    if (p->nrule > 0)
        putchar('\n');
    if (p->result != PROOF_proved)
        printf("%s%s\n", indent, p->why);
    if (p->factor)
        printf("%sfactor: %s\n", indent, p->factor);
    if (p->factor && p->uniform && isnan(p->at_uniform))
        printf("%sat a uniform router: %s\n", indent, p->uniform);
    else if (p->factor && p->uniform)
        printf("%sat a uniform router: %s (%.4g at the defaults)\n", indent,
               p->uniform, p->at_uniform);
    if (p->result != PROOF_proved && p->instance)
        printf("%stried with %s\n", indent, p->instance);
    if (!isnan(p->diff_f32))
        printf("%slargest difference measured: %.1e in f32, %.1e in bf16\n",
               indent, p->diff_f32, p->diff_bf16);
}

/* Of what nobody claims. */
static const char *const note[] = {"not claimed, but it holds",
                                   "not claimed, and it does not hold",
                                   "not claimed, and not known"};

static void print_claim(const Check *c, const Claim *claim)
{
    bool named = strcmp(claim->name, claim->text) != 0;
    printf("%s%s%s: %s\n", named ? claim->name : "", named ? ": " : "",
           claim->text, (claim->silent ? note : result_name)
                            [claim->proof->result]);
    print_proof(claim, "    ");
    if (!c->verbose)
        return;
    for (const char *s = claim->proof->derivation; *s;) {
        int n = (int)strcspn(s, "\n");
        printf("    | %.*s\n", n, s);
        s += n + (s[n] == '\n');
    }
}

/* ---- what was checked ---- */

static const struct {
    AstKind kind;
    const char *one;
} checked[] = {
    {AST_module, "module"}, {AST_model, "model"},
    {AST_transform, "transform"}, {AST_recipe, "recipe"},
    {AST_prove, "proof"}, {AST_rule, "rule"}, {AST_schedule, "schedule"},
};

static int count_of(const Ast *file, AstKind kind)
{
    int n = 0;
    for (int i = 0; i < file->nkid; i++)
        n += file->kid[i]->kind == kind;
    return n;
}

/* "moe.graft: checked 2 modules, 1 transform", of the file's own. */
static void print_checked(const char *path, const Ast *file)
{
    const char *before = "";
    printf("%s: checked ", path);
    for (size_t i = 0; i < COUNT(checked); i++) {
        int n = count_of(file, checked[i].kind);
        if (!n)
            continue;
        printf("%s%d %s%s", before, n, checked[i].one, n == 1 ? "" : "s");
        before = ", ";
    }
    puts(*before ? "" : "no definition of its own");
}

static void check_schedules(Arena *a, const Spec *spec)
{
    Pins pins = {.arena = a};
    pins_of_spec(&pins, spec); /* mistakes are reported */
}

static void check_one(Check *c, const char *path)
{
    Arena arena = {0};
    Diags diags = {.quiet = c->common.json};
    Claims claims = {0};
    Err err = {""};
    Spec *spec = spec_new(&arena, &diags);
    bool read = spec_file(spec, path, &err);
    if (!read && *err.text)
        add_unread(c, path, &err);
    else
        spec_check(spec, &claims), check_schedules(&arena, spec);
    for (int i = 0; i < claims.n; i++) {
        if (c->common.json)
            add_claim(c, &claims.at[i]);
        else if (!c->common.quiet)
            print_claim(c, &claims.at[i]);
        c->wrong |= claim_report(&claims.at[i]);
    }
    const Ast *const *file;
    int files = spec_files(spec, &file);
    if (read && files && !c->common.json && !c->common.quiet)
        print_checked(path, file[files - 1]);
    add_said(c, &diags);
    c->wrong |= diags.errors > 0;
    diags_free(&diags);
    arena_free(&arena);
}

int command_check(int argc, char **argv)
{
    Check c = {.errors = cJSON_CreateArray(),
               .warnings = cJSON_CreateArray(),
               .claims = cJSON_CreateArray()};
    options_parse(&argp, argc, argv, &c, &c.common);
    for (int i = 0; i < c.count; i++)
        check_one(&c, c.files[i]);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "errors", c.errors);
    cJSON_AddItemToObject(o, "warnings", c.warnings);
    cJSON_AddItemToObject(o, "claims", c.claims);
    if (c.common.json)
        report_json(o);
    else
        cJSON_Delete(o);
    return c.wrong ? EXIT_wrong_input : EXIT_done;
}
