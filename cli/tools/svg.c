/* What pictures share: colours, what a transform changed, Graphviz, files. */
#include "cli/tools/svg.h"
#include <ctype.h>
#include <errno.h>
#include <graphviz/gvc.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what a transform changed ---- */

/* Is `path` at or inside `at`? With `loose` numbers in [] make no odds: a body
 * of a repeated layer stands for all of them. */
static bool inside(const char *path, const char *at, bool loose)
{
    while (*at) {
        if (loose && isdigit((unsigned char)*at) &&
            isdigit((unsigned char)*path)) {
            while (isdigit((unsigned char)*at))
                at++;
            while (isdigit((unsigned char)*path))
                path++;
            continue;
        }
        if (*path++ != *at++)
            return false;
    }
    return !*path || *path == '.' || *path == '[';
}

static bool in_fresh(const View *v, const char *path, bool loose)
{
    if (v->fresh)
        return inside(path, v->path, loose);
    for (int i = 0; i < v->npart; i++)
        if (in_fresh(&v->part[i], path, loose))
            return true;
    return false;
}

int svg_look(const Picture *p, int side, const char *path)
{
    if (p->n < 2 || !path || !in_fresh(p->side[1].view, path, side == 0))
        return LOOK_plain;
    return side ? LOOK_new : LOOK_gone;
}

int svg_weight_look(const Picture *p, int side, const char *path, bool made)
{
    return made && side == p->n - 1 ? LOOK_new : svg_look(p, side, path);
}

/* ---- how it looks ---- */

const char *svg_fill(int look, const char *plain)
{
    return look == LOOK_new    ? "#ffe0b3"
           : look == LOOK_gone ? "#f8d4d8"
                               : plain;
}

const char *svg_line(int look)
{
    return look == LOOK_new    ? "#c46a00"
           : look == LOOK_gone ? "#b4475a"
                               : "#6b7280";
}

void svg_at(FILE *out, const Source *src, int line)
{
    const char *base = strrchr(src->path, '/');
    uint64_t hash = hash_bytes(0, src->text, (size_t)src->len);
    fputs("at-", out);
    for (base = base ? base + 1 : src->path; *base; base++)
        fputc(isalnum((unsigned char)*base) ? *base : '_', out);
    fprintf(out, "-%04x-%d", (unsigned)(hash & 0xffff), line);
}

void svg_class(FILE *out, const char *kind, const Source *src, Loc loc)
{
    int line, col;
    fprintf(out, "class=\"%s", kind);
    if (src) {
        loc_place(src, loc.at, &line, &col);
        fputc(' ', out);
        svg_at(out, src, line);
    }
    fputc('"', out);
}

/* ---- Graphviz ---- */

static char *render(GVC_t *gvc, graph_t *g, Err *err)
{
    char *text = NULL, *copy = NULL;
    unsigned len = 0;
    if (gvLayout(gvc, g, "dot") || gvRenderData(gvc, g, "svg", &text, &len)) {
        err_set(err, "Graphviz cannot lay the picture out: is its `dot` "
                     "plugin there? (package libgvc6)");
        return NULL;
    }
    const char *svg = strstr(text, "<svg");
    if (svg) {
        copy = xmalloc(strlen(svg) + 1);
        strcpy(copy, svg);
    } else {
        err_set(err, "Graphviz gave no picture");
    }
    gvFreeRenderData(text);
    gvFreeLayout(gvc, g);
    return copy;
}

/* One context for the process: Graphviz's text plugin remembers names of fonts
 * that would go with it. */
char *svg_layout(char *dot, Err *err)
{
    static GVC_t *gvc;
    char *svg = NULL;
    if (!gvc)
        gvc = gvContext();
    graph_t *g = agmemread(dot);
    if (!g)
        BUG("a picture that Graphviz cannot read:\n%s", dot);
    svg = render(gvc, g, err);
    agclose(g);
    free(dot);
    return svg;
}

/* ---- files ---- */

/* Half a file goes, a device stays. */
static void remove_file(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        remove(path);
}

bool text_save(const char *path, const char *text, Err *err)
{
    if (!strcmp(path, "-"))
        return fputs(text, stdout) >= 0;
    FILE *out = fopen(path, "w");
    if (!out)
        return err_set(err, "%s: cannot write: %s", path, strerror(errno));
    bool fine = fputs(text, out) >= 0 && fflush(out) == 0;
    int why = errno;
    fclose(out);
    if (fine)
        return true;
    remove_file(path);
    return err_set(err, "%s: cannot write: %s", path, strerror(why));
}

bool svg_save(const char *path, const char *svg, Err *err)
{
    static const char head[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
    char *text = xmalloc(sizeof head + strlen(svg));
    strcpy(text, head);
    strcat(text, svg);
    bool fine = text_save(path, text, err);
    free(text);
    return fine;
}
