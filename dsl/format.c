/* fmt: one layout for any text that parses. It prints the tokens of each item
 * of the tree, not the tree, so that whatever the user wrote is there: only
 * the blanks between tokens change. Lines stay broken where they were. */
#include "dsl/format.h"
#include "dsl/parse.h"
#include <string.h>

void dsl_put(Out *o, const char *s, size_t n)
{
    if (o->n + n + 1 > o->room) {
        o->room = 2 * (o->n + n + 1);
        o->at = xrealloc(o->at, o->room);
    }
    memcpy(o->at + o->n, s, n);
    o->n += n;
    o->at[o->n] = 0;
}

/* ---- from tokens to pieces ---- */

typedef struct {
    int piece;   /* of a bracket, or -1 for the file */
    int choices; /* `?` that wait for their `:` */
    int first;   /* kind that starts the statement, in a `{` or the file */
} Level;

typedef struct {
    Arena *arena;
    const Source *src;
    LIST(Piece) out;
    LIST(Level) level;
    int last;       /* the last piece that is no comment, or -1 */
    int lines;      /* newlines since the last piece */
    bool newline;   /* since `last` */
    bool semicolon; /* the same */
} Pieces;

static Level *level(Pieces *s)
{
    return &s->level.at[s->level.n - 1];
}

static bool in_round(Pieces *s)
{
    int at = level(s)->piece;
    return at >= 0 && s->out.at[at].kind != '{';
}

static int columns(const char *s, int len)
{
    int n = 0;
    for (int i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

static bool starts_statement(Pieces *s, int kind)
{
    if (kind == RAW_comment || kind == '}' || in_round(s))
        return false;
    if (s->last < 0 || s->semicolon)
        return true;
    int before = s->out.at[s->last].kind;
    return before == '{' || before == '}' ||
           (s->newline && !dsl_continues(before));
}

static int brace_of(const Pieces *s)
{
    for (int i = s->level.n - 1; i >= 0; i--) {
        int at = s->level.at[i].piece;
        if (at < 0 || s->out.at[at].kind == '{')
            return at;
    }
    return -1;
}

static bool is_name(const Pieces *s, int kind, int next)
{
    int before = s->last >= 0 ? s->out.at[s->last].kind : 0;
    return kind == NAME ||
           (kind > 256 && (before == '.' || next == ':' || next == '='));
}

static bool ends_operand(int kind)
{
    return kind == NAME || kind == NUMBER || kind == STRING || kind == DOTS ||
           kind == ')' || kind == ']';
}

/* What a `{`, `-`, `?` or `:` means depends on where it stands. */
static void classify(Pieces *s, Piece *x)
{
    const Piece *before = s->last >= 0 ? &s->out.at[s->last] : NULL;
    bool options = x->brace >= 0 && s->out.at[x->brace].options;
    x->operand = ends_operand(x->kind);
    x->apart = x->kind == '[' && options && !in_round(s);
    x->unary = x->kind == '-' && (x->starts || !before || !before->operand ||
                                  (options && !in_round(s)));
    if (x->kind == '?')
        level(s)->choices++;
    x->choice = x->kind == ':' && level(s)->choices > 0;
    if (x->choice)
        level(s)->choices--;
    if (x->kind == '{') {
        int first = level(s)->first;
        x->one_line = true;
        x->options = first == TRAIN || first == SCHEDULE || options;
    }
}

/* A newline or comment makes all blocks around it stand on several lines. */
static void spread(Pieces *s)
{
    for (int i = s->level.n - 1; i > 0; i--)
        s->out.at[s->level.at[i].piece].one_line = false;
}

static void open_close(Pieces *s, int kind, int at)
{
    if (kind == '(' || kind == '[' || kind == '{') {
        list_push(s->arena, &s->level, (Level){.piece = at});
    } else if ((kind == ')' || kind == ']' || kind == '}') && s->level.n > 1) {
        s->out.at[level(s)->piece].partner = at;
        s->level.n--;
    }
}

static void add(Pieces *s, const Token *t, int next)
{
    Piece x = {.kind = is_name(s, t->kind, next) ? NAME : t->kind,
               .s = s->src->text + t->loc.at,
               .lines = s->lines,
               .brace = brace_of(s)};
    x.len = t->loc.len;
    while (x.len > 1 && strchr(" \t\r", x.s[x.len - 1]))
        x.len--;
    x.width = columns(x.s, x.len);
    x.starts = starts_statement(s, x.kind);
    if (x.starts) {
        level(s)->first = x.kind;
        level(s)->choices = 0;
    }
    classify(s, &x);
    list_push(s->arena, &s->out, x);
    s->lines = 0;
    if (x.kind == RAW_comment)
        return;
    s->last = s->out.n - 1;
    s->newline = s->semicolon = false;
    open_close(s, x.kind, s->last);
}

static void take(Pieces *s, const Token *t, int next)
{
    if (t->kind == RAW_newline) {
        s->newline = true;
        s->lines += s->lines < 2;
    } else if (t->kind == ';') {
        s->semicolon = true;
    } else {
        add(s, t, next);
    }
    if (t->kind == RAW_newline || t->kind == RAW_comment)
        spread(s);
}

/* ---- items of the tree ---- */

typedef struct {
    Arena arena; /* of one source */
    Parse p;
    int at; /* the first raw token not printed */
} Reader;

static void read_source(Reader *r, const Source *src)
{
    arena_free(&r->arena);
    *r = (Reader){.p = {.src = src}};
    r->p.arena = &r->arena;
    dsl_lex(&r->p);
}

static bool is_blank(int kind)
{
    return kind == RAW_newline || kind == RAW_comment || kind == ';';
}

/* The first token of the item and the comments above it. */
static int item_start(const Reader *r, const Ast *item)
{
    const Token *raw = r->p.raw.at;
    int i = r->at;
    while (i < r->p.raw.n && raw[i].loc.at < item->loc.at)
        i++;
    while (i > r->at && is_blank(raw[i - 1].kind))
        i--;
    while (i && ((raw[i].kind == RAW_comment && !raw[i].fresh) ||
                 raw[i].kind == ';'))
        i++; /* it belongs to the item before */
    return i;
}

/* Past the item, and past the comment beside its end, or to the end of the
 * text where only comments are left. */
static int item_end(const Reader *r, const Ast *item, int i)
{
    const Token *raw = r->p.raw.at;
    int n = r->p.raw.n;
    while (i < n && raw[i].loc.at < item->loc.at + item->loc.len)
        i++;
    int end = i;
    while (end < n && is_blank(raw[end].kind))
        end++;
    if (end == n)
        return n;
    while (i < end && raw[i].kind == ';')
        i++;
    return raw[i].kind == RAW_comment ? i + 1 : i;
}

/* A blank line above if `apart`. */
static void print_tokens(Reader *r, Out *o, int from, int to, bool apart)
{
    Arena scratch = {0};
    Pieces s = {.arena = &scratch, .src = r->p.src, .last = -1};
    const Token *raw = r->p.raw.at;
    list_push(&scratch, &s.level, (Level){.piece = -1});
    for (int i = from; i < to; i++)
        take(&s, &raw[i], i + 1 < to ? raw[i + 1].kind : 0);
    if (apart && s.out.n)
        s.out.at[0].lines = 2;
    dsl_format_lines(&scratch, o, s.out.at, s.out.n);
    arena_free(&scratch);
    r->at = to;
}

/* Comments are all there is. */
static void print_bare(Reader *r, Out *o, const Source *src)
{
    read_source(r, src);
    int end = 0;
    while (end < r->p.raw.n && is_blank(r->p.raw.at[end].kind))
        end++;
    print_tokens(r, o, 0, end, false);
}

char *dsl_format(const Ast *file)
{
    Reader r = {0};
    Out o = {0};
    dsl_put(&o, "", 0);
    if (!file->nkid)
        print_bare(&r, &o, file->src);
    for (int i = 0; i < file->nkid; i++) {
        const Ast *item = file->kid[i];
        bool other = item->src != r.p.src;
        if (other)
            read_source(&r, item->src);
        int from = item_start(&r, item);
        print_tokens(&r, &o, from, item_end(&r, item, from), other);
    }
    arena_free(&r.arena);
    return o.at;
}
