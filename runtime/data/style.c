/* Styles of prompts: templates with places for fields and tokens. */
#include "runtime/data/data_private.h"
#include <string.h>

static const Style styles[] = {
    /* arXiv 2404.15247; prompt and answer are tokenised apart */
    {"xft", "{bos}You are an exceptionally intelligent coding assistant that "
            "consistently delivers accurate and reliable responses to user "
            "instructions.\n\n@@ Instruction\n{instruction}\n\n@@ Response\n"
            "{|}{output}{eos}"},
    /* arXiv 2401.02731; as one text, of which the prompt's tokens are masked */
    {"human-assistant", "{bos}{system?### System:\n{system}\n}### Human:\n"
                        "{instruction}\n### Assistant:\n{output}{eos}"},
};
const char *const style_names[] = {"xft", "human-assistant", NULL};

/* What may stand in braces. */
static const char *const places[] = {"bos", "eos", "system", "instruction",
                                     "input", "output", "|", NULL};

static int place_at(const char *s, size_t *len)
{
    for (int i = 0; places[i]; i++) {
        size_t n = strlen(places[i]);
        if (s[0] == '{' && !strncmp(s + 1, places[i], n) && s[n + 1] == '}') {
            *len = n + 2;
            return i;
        }
    }
    return -1;
}

static bool is_part(const char *s, const char *name, size_t *len)
{
    size_t n = strlen(name);
    *len = n + 2;
    return s[0] == '{' && !strncmp(s + 1, name, n) && s[n + 1] == '?';
}

static bool well_formed(const Style *s, Err *err)
{
    int outputs = 0;
    size_t len;
    bool open = false;
    for (const char *p = s->text; *p; p += len) {
        len = 1;
        int place = place_at(p, &len);
        if (place >= 0) {
            outputs += !strcmp(places[place], "output");
        } else if (!open && (is_part(p, "system", &len) ||
                             is_part(p, "input", &len))) {
            open = true;
        } else if ((len = 1) && *p == '}' && open) {
            open = false;
        } else if (*p == '{') {
            return err_set(err, "%.300s: `%.20s`: places are {bos}, {eos}, "
                                "{system}, {instruction}, {input}, {output}, "
                                "{|}, {system?..}, {input?..}", s->name, p);
        }
    }
    if (open)
        return err_set(err, "%.300s: a {..?..} is never closed", s->name);
    return outputs == 1 || err_set(err, "%.300s: {output} is to stand in it "
                                        "once, it does %d times", s->name,
                                   outputs);
}

bool style_find(const char *name, Arena *a, Style *out, Err *err)
{
    for (size_t i = 0; i < COUNT(styles); i++)
        if (!strcmp(styles[i].name, name)) {
            *out = styles[i];
            return true;
        }
    size_t len, at;
    char *text = read_file(name, &len, err);
    if (!text)
        return false;
    bool fine = !memchr(text, 0, len) && utf8_valid(text, len, &at);
    /* an editor's last line end is no part of it */
    len -= len && text[len - 1] == '\n';
    *out = (Style){arena_printf(a, "%s", name), arena_strn(a, text, len)};
    free(text);
    return fine ? well_formed(out, err)
                : err_set(err, "%.300s: not a text in UTF-8", name);
}

/* ---- an example in a style ---- */

typedef struct {
    Pieces *p;
    const Fields *f;
    bool apart; /* {|} is in it */
    Arena arena;
    LIST(char) text; /* not yet tokenised */
    int prompt;      /* of it, where the output began; -1 */
    bool learned;
    bool fine;
} Write;

static void put(Write *w, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        list_push(&w->arena, &w->text, s[i]);
}

/* Tokenises what is there. */
static void flush(Write *w)
{
    if (w->fine && w->text.n && w->prompt >= 0)
        w->fine = pieces_joined(w->p, w->text.at, (size_t)w->prompt,
                                (size_t)w->text.n);
    else if (w->fine && w->text.n)
        w->fine = pieces_text(w->p, w->text.at, (size_t)w->text.n, w->learned);
    w->text.n = 0;
    w->prompt = -1;
}

static const char *field_of(const Fields *f, const char *place)
{
    const char *v = !strcmp(place, "system")        ? f->system
                    : !strcmp(place, "instruction") ? f->instruction
                    : !strcmp(place, "input")       ? f->input
                                                    : f->output;
    return v ? v : "";
}

static void write_place(Write *w, const char *place)
{
    const Tokenizer *t = w->p->l->use->tokenizer;
    bool bos = !strcmp(place, "bos"), eos = !strcmp(place, "eos");
    if (bos || eos) {
        flush(w);
        pieces_token(w->p, bos ? tokenizer_bos(t) : tokenizer_eos(t),
                     w->learned);
        return;
    }
    if (!strcmp(place, "|")) {
        flush(w);
        return;
    }
    if (!strcmp(place, "output")) {
        if (!w->apart)
            w->prompt = w->text.n;
        w->learned = true;
    }
    const char *v = field_of(w->f, place);
    put(w, v, strlen(v));
}

/* The end of {input?..}: behind the first `}` that ends no place. */
static const char *part_end(const char *s)
{
    size_t len;
    while (*s && *s != '}')
        s += place_at(s, &len) >= 0 ? len : 1;
    return s;
}

static void write_template(Write *w, const char *s, const char *end)
{
    while (s < end && *s) {
        size_t len = 1;
        int place = place_at(s, &len);
        bool system = false;
        if (place >= 0) {
            write_place(w, places[place]);
        } else if ((system = is_part(s, "system", &len)) ||
                   is_part(s, "input", &len)) {
            const char *stop = part_end(s + len);
            const char *v = system ? w->f->system : w->f->input;
            if (v && *v)
                write_template(w, s + len, stop);
            len = (size_t)(stop - s) + 1;
        } else {
            len = 1;
            put(w, s, 1);
        }
        s += len;
    }
}

bool style_write(Pieces *p, const char *style, const Fields *f)
{
    Write w = {.p = p, .f = f, .prompt = -1, .fine = true,
               .apart = strstr(style, "{|}") != NULL};
    write_template(&w, style, style + strlen(style));
    flush(&w);
    arena_free(&w.arena);
    return w.fine;
}
