/* Golden cases: reading, running, rewriting them. */
#include "tests/dsl/cases.h"
#include <string.h>

typedef struct {
    char *name, *input, *expected, *got;
    CaseAnswer *answer;
} Case;

typedef struct {
    Case *at;
    int n;
} Cases;

/* The text up to the line `stop...`, which *text is moved past. */
static char *section(char **text, const char *stop)
{
    char *start = *text, *end = start;
    size_t len = strlen(stop);
    while (*end && strncmp(end, stop, len)) {
        end += strcspn(end, "\n");
        end += *end == '\n';
    }
    *text = end + (*end ? len : 0);
    char *copy = xmalloc((size_t)(end - start) + 1);
    memcpy(copy, start, (size_t)(end - start));
    copy[end - start] = 0;
    return copy;
}

static char *line(char **text)
{
    size_t len = strcspn(*text, "\n");
    char *copy = xmalloc(len + 1);
    memcpy(copy, *text, len);
    copy[len] = 0;
    *text += len + ((*text)[len] == '\n');
    return copy;
}

static Cases read_cases(const char *path, CaseAnswer *answer, char **head)
{
    Err err;
    Cases c = {0};
    size_t len;
    char *all = read_file(path, &len, &err), *text = all;
    if (!all)
        die("%s", err.text);
    *head = section(&text, "=== ");
    while (*text) {
        c.at = xrealloc(c.at, (size_t)(c.n + 1) * sizeof *c.at);
        Case *k = &c.at[c.n++];
        *k = (Case){.answer = answer};
        k->name = line(&text);
        k->input = section(&text, "---\n");
        k->expected = section(&text, "=== ");
    }
    free(all);
    return c;
}

static void run_case(void **state)
{
    Case *k = *state;
    k->got = k->answer(k->input);
    if (!getenv("BLESS"))
        assert_string_equal(k->got, k->expected);
}

static void write_cases(const char *path, const char *head, const Cases *c)
{
    FILE *out = fopen(path, "w");
    if (!out)
        die("cannot write %s", path);
    fputs(head, out);
    for (int i = 0; i < c->n; i++)
        fprintf(out, "=== %s\n%s---\n%s", c->at[i].name, c->at[i].input,
                c->at[i].got ? c->at[i].got : c->at[i].expected);
    fclose(out);
}

static void free_cases(Cases *c)
{
    for (int i = 0; i < c->n; i++) {
        free(c->at[i].name);
        free(c->at[i].input);
        free(c->at[i].expected);
        free(c->at[i].got);
    }
    free(c->at);
}

int cases_run(const char *file, CaseAnswer *answer)
{
    char path[4096], *head;
    snprintf(path, sizeof path, DSL_CASES "/%s", file);
    Cases c = read_cases(path, answer, &head);
    struct CMUnitTest *test = xmalloc((size_t)c.n * sizeof *test);
    for (int i = 0; i < c.n; i++)
        test[i] = (struct CMUnitTest){.name = c.at[i].name,
                                      .test_func = run_case,
                                      .initial_state = &c.at[i]};
    int failed = _cmocka_run_group_tests(file, test, (size_t)c.n, NULL, NULL);
    if (getenv("BLESS"))
        write_cases(path, head, &c);
    free_cases(&c);
    free(head);
    free(test);
    return failed;
}

void parse_text(Parsed *p, const char *path, const char *text, size_t len)
{
    *p = (Parsed){.diags = {.quiet = true}};
    p->src = (Source){path, text, (int)len, &p->diags};
    p->file = dsl_parse(&p->arena, &p->src);
}

void parsed_free(Parsed *p)
{
    diags_free(&p->diags);
    arena_free(&p->arena);
}

const char *const example_name[7] = {
    "llama", "mistakes", "more", "pesc", "rules", "sparse_upcycling", "xft"};

char *example_text(const char *name, size_t *len)
{
    Err err;
    char path[4096];
    snprintf(path, sizeof path, SHARED_EXAMPLES "/%s.graft", name);
    char *text = read_file(path, len, &err);
    if (!text)
        print_message("skipped: %s\n", err.text);
    return text;
}
