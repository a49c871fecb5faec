/* The page around the levels: the spec's files on the left, a level on the
 * right; style and script inside, nothing fetched. */
#include "cli/tools/html.h"
#include "cli/tools/page.h"
#include <string.h>

static const char *asset(const char *name)
{
    for (const PageFile *f = page_file; f->name; f++)
        if (!strcmp(f->name, name))
            return f->text;
    BUG("no part of the page is called %s", name);
}

/* ---- which sources ---- */

static void note(Page *p, const Source *src)
{
    if (!src)
        return;
    for (int i = 0; i < p->source.n; i++)
        if (!strcmp(p->source.at[i]->path, src->path) &&
            !strcmp(p->source.at[i]->text, src->text))
            return;
    list_push(&p->arena, &p->source, src);
}

static void note_view(Page *p, const View *v)
{
    note(p, v->def->src);
    for (int i = 0; i < v->npart; i++)
        note_view(p, &v->part[i]);
}

static void note_graph(Page *p, const Graph *g)
{
    for (int i = 0; i < g->node.n; i++) {
        const Repeat *r = g->node.at[i]->repeat;
        note(p, g->node.at[i]->src);
        for (int j = 0; r && j < r->n; j++)
            note_graph(p, r->at[j].body);
    }
}

static void note_files(Page *p, const Spec *spec)
{
    const Ast *const *file;
    int n = spec_files(spec, &file);
    for (int i = n - 1; i >= 0; i--)
        note(p, file[i]->src);
}

void page_sources(Page *p)
{
    Subject *s = p->subject;
    if (s->def)
        note(p, s->def->src);
    if (!s->nmodel)
        note_files(p, s->spec);
    for (int i = 0; i < subject_pictures(s); i++) {
        Picture pic = subject_picture(s, i);
        for (int j = 0; j < pic.n; j++) {
            note_view(p, pic.side[j].view);
            note_graph(p, pic.side[j].graph);
        }
    }
}

static const Ast *tree_in(const Spec *spec, const Source *src)
{
    const Ast *const *file;
    int n = spec ? spec_files(spec, &file) : 0;
    for (int i = 0; i < n; i++)
        if (file[i]->src == src)
            return file[i];
    return NULL;
}

const Ast *page_tree(const Page *p, const Source *src)
{
    const Subject *s = p->subject;
    const Ast *tree = tree_in(s->spec, src);
    for (int i = 0; !tree && i < s->nmodel; i++)
        tree = tree_in(model_spec(s->model[i].model), src);
    return tree;
}

/* ---- the frame ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void tabs(FILE *out, const Page *p)
{
    fputs("<nav class=tabs id=levels role=tablist>", out);
    for (int i = 0; i < p->level.n; i++)
        fprintf(out, "<button role=tab data-for=\"%s\"><kbd>%d</kbd>%s"
                     "</button>",
                p->level.at[i].id, i + 1, p->level.at[i].title);
    fputs("</nav>\n", out);
}

static void right(FILE *out, const Page *p)
{
    fputs("<div class=pane id=right>\n", out);
    tabs(out, p);
    fputs("<div class=body>\n", out);
    for (int i = 0; i < p->level.n; i++)
        fprintf(out, "<section id=\"%s\">\n%s</section>\n", p->level.at[i].id,
                p->level.at[i].text);
    fputs("</div></div>\n", out);
}

static void left(FILE *out, const Page *p)
{
    fputs("<div class=pane id=left>\n<nav class=tabs id=files role=tablist>",
          out);
    for (int i = 0; i < p->source.n; i++) {
        fprintf(out, "<button role=tab data-for=file%d%s>", i,
                i ? "" : " data-first=1");
        put_html(out, base_name(p->source.at[i]->path));
        fputs("</button>", out);
    }
    fputs("</nav>\n<div class=body>\n", out);
    for (int i = 0; i < p->source.n; i++) {
        fprintf(out, "<section id=file%d data-file=\"", i);
        put_html(out, base_name(p->source.at[i]->path));
        fputs("\">", out);
        html_source(out, p->source.at[i]);
        fputs("</section>\n", out);
    }
    fputs("</div></div>\n", out);
}

static void title(FILE *out, const Page *p)
{
    const SubjectArgs *a = p->subject->args;
    put_html(out, base_name(a->what));
    if (a->transform) {
        fputs(", after ", out);
        put_html(out, a->transform);
    }
    for (int i = 0; i < a->arg.n; i++) {
        fprintf(out, "%s ", i ? "," : "");
        put_html(out, a->arg.at[i].name);
        fputs(" = ", out);
        put_html(out, a->arg.at[i].value);
    }
}

static void frame(FILE *out, const Page *p)
{
    fputs("<!doctype html>\n<html lang=en>\n<head><meta charset=utf-8>\n"
          "<meta name=viewport content=\"width=device-width\">\n<title>", out);
    title(out, p);
    fprintf(out, "</title>\n<style>\n%s</style></head>\n<body>\n",
            asset("page_style"));
    fputs("<header><h1>graft</h1><span class=what>", out);
    title(out, p);
    fputs("</span><button id=theme title=\"light or dark\">light / dark"
          "</button></header>\n<main>\n", out);
    left(out, p);
    right(out, p);
    fputs("</main>\n<footer><kbd>1</kbd> .. <kbd>9</kbd> or <kbd>←</kbd> "
          "<kbd>→</kbd> level &nbsp; <kbd>↑</kbd> <kbd>↓</kbd> line &nbsp; "
          "click pins, <kbd>Esc</kbd> lets go &nbsp; <kbd>s</kbd> next file "
          "&nbsp; <kbd>t</kbd> theme &nbsp; <b id=where></b></footer>\n", out);
    fprintf(out, "<script>\n%s</script>\n</body></html>\n",
            asset("page_script"));
}

char *html_page(Subject *s, const Common *common, Err *err)
{
    Page p = {.subject = s, .common = common};
    char *text = NULL;
    size_t len;
    page_sources(&p);
    bool fine = page_levels(&p, err);
    FILE *out = fine ? open_memstream(&text, &len) : NULL;
    if (out) {
        frame(out, &p);
        fclose(out);
    }
    for (int i = 0; i < p.level.n; i++)
        free(p.level.at[i].text);
    arena_free(&p.arena);
    return text;
}
