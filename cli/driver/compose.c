/* Transforms one after the other, as an argument: lora(pesc(m, E: 4), R: 2). */
#include "cli/driver/compose.h"
#include <ctype.h>
#include <string.h>

typedef struct {
    const char *all, *at;
    Arena *arena;
    Steps *out;
    Err *err;
} Reader;

static bool fail(Reader *r, const char *want)
{
    return err_set(r->err, "%s: %s is needed at `%.20s`: a transform of a "
                           "transform is written lora(pesc(m, E: 4))",
                   r->all, want, *r->at ? r->at : "the end");
}

static bool sign(Reader *r, char c)
{
    r->at += strspn(r->at, " ");
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

static const char *word(Reader *r)
{
    r->at += strspn(r->at, " ");
    const char *from = r->at;
    while (isalnum((unsigned char)*r->at) || *r->at == '_')
        r->at++;
    return r->at > from ? arena_strn(r->arena, from, (size_t)(r->at - from))
                        : NULL;
}

/* A value goes to the next comma or bracket that is not in brackets. */
static const char *value(Reader *r)
{
    r->at += strspn(r->at, " ");
    const char *from = r->at;
    int depth = 0;
    for (; *r->at; r->at++) {
        if (!depth && (*r->at == ',' || *r->at == ')'))
            break;
        depth += (*r->at == '[') - (*r->at == ']');
    }
    return r->at > from ? arena_strn(r->arena, from, (size_t)(r->at - from))
                        : NULL;
}

static bool step(Reader *r)
{
    Step s = {.name = word(r)};
    if (!s.name)
        return fail(r, "a transform's name");
    if (!sign(r, '('))
        return fail(r, "`(`");
    const char *before = r->at;
    if (!word(r))
        return fail(r, "a transform or the model");
    bool inner = sign(r, '(');
    if (inner) {
        r->at = before;
        if (!step(r))
            return false;
    }
    while (sign(r, ',')) {
        Arg arg = {.name = word(r)};
        if (!arg.name || !sign(r, ':') || !(arg.value = value(r)))
            return fail(r, "name: value");
        list_push(r->arena, &s.arg, arg);
    }
    if (!sign(r, ')'))
        return fail(r, "`,` or `)`");
    list_push(r->arena, r->out, s);
    return true;
}

bool steps_read(Arena *a, const char *text, const char **head, Steps *out,
                Err *err)
{
    const char *open = strchr(text, '(');
    *out = (Steps){0};
    *head = text;
    if (!open)
        return true;
    const char *from = open;
    while (from > text && from[-1] != ':')
        from--;
    *head = arena_strn(a, text, (size_t)(open - text));
    Reader r = {text, from, a, out, err};
    if (!step(&r))
        return false;
    r.at += strspn(r.at, " ");
    return !*r.at || fail(&r, "nothing more");
}
