/* Pieces to lines: what stands between two of them, how far a line is
 * indented, where one that is too long is broken. */
#include "dsl/format.h"
#include "dsl/parse.h"
#include <string.h>

typedef struct {
    int inside, close; /* columns of what it holds and of its end */
} Round;

/* A comment beside a line: where in the output, at which column, which line. */
typedef struct {
    size_t at;
    int column, line;
} Beside;

typedef struct {
    Arena *arena;
    Out *out;
    Piece *piece;
    int n;
    int depth; /* blocks open that stand on several lines */
    int more;  /* how far the statement's next lines are indented */
    LIST(Round) round;
    LIST(Beside) beside;
    int line;
} Lines;

static bool in_one_line(const Lines *l, int i)
{
    int brace = l->piece[i].brace;
    return brace >= 0 && l->piece[brace].one_line;
}

static bool is_open(int kind)
{
    return kind == '(' || kind == '[' || kind == '{';
}

static bool closes(int kind)
{
    return kind == ')' || kind == ']' || kind == '}';
}

/* ---- between two pieces of a line ---- */

static bool glued(const Piece *a, const Piece *b)
{
    if (a->kind == '(' || a->kind == '[' || a->kind == '.' || a->unary)
        return true;
    if (a->kind == '{' && b->kind == '}')
        return true;
    if (b->kind == '(' || b->kind == '[')
        return (a->operand && !b->apart) ||
               (a->kind == FORWARD && b->kind == '(') ||
               (a->kind == MODEL && b->kind == '[');
    return b->kind == ')' || b->kind == ']' || b->kind == ',' ||
           b->kind == '.' || (b->kind == ':' && !b->choice);
}

static const char *between(const Lines *l, int i)
{
    const Piece *a = &l->piece[i - 1], *b = &l->piece[i];
    if (b->kind == RAW_comment)
        return "  ";
    if (b->starts && a->kind != '{')
        return "; ";
    return glued(a, b) ? "" : " ";
}

static bool must_break(const Lines *l, int i)
{
    const Piece *a = &l->piece[i - 1], *b = &l->piece[i];
    if (a->kind == RAW_comment)
        return true;
    if (a->kind == '{' && b->kind != RAW_comment)
        return !a->one_line && b->kind != '}';
    if (b->kind == '}')
        return b->brace >= 0 && !l->piece[b->brace].one_line;
    if (b->starts)
        return !in_one_line(l, i);
    return b->lines > 0;
}

/* ---- how far lines are indented ---- */

/* The lines of these go on below what follows the word. */
static bool hangs_from_word(int kind)
{
    return kind == WEIGHT || kind == LEARN || kind == RETURN ||
           kind == REQUIRE || kind == CONFIG || kind == INPUT ||
           kind == TRAIN || kind == MATCH;
}

static int line_indent(const Lines *l, int i)
{
    const Piece *x = &l->piece[i];
    int at = i;
    while (at < l->n - 1 && l->piece[at].kind == RAW_comment)
        at++;
    const Piece *next = &l->piece[at];
    int base = STEP_WIDTH * l->depth;
    if (x->kind == '}')
        return base - STEP_WIDTH;
    if (l->round.n) {
        const Round *r = &l->round.at[l->round.n - 1];
        return closes(x->kind) ? r->close : r->inside;
    }
    bool between_statements =
        next->starts || next->kind == '}' || next->kind == RAW_comment;
    return between_statements ? base : base + l->more;
}

static bool breaks_after(const Lines *l, int i)
{
    return i + 1 < l->n &&
           (l->piece[i + 1].kind == RAW_comment || l->piece[i + 1].lines > 0);
}

/* Passes piece i, which starts at `column` of a line indented by `indent`;
 * `last` on its line. */
static void pass(Lines *l, int i, int column, int indent, bool last)
{
    const Piece *x = &l->piece[i];
    if (x->starts)
        l->more = hangs_from_word(x->kind) ? x->width + 1 : 2 * STEP_WIDTH;
    if (x->kind == '{') {
        l->depth += !x->one_line;
    } else if (x->kind == '}') {
        if (x->brace >= 0 && !l->piece[x->brace].one_line)
            l->depth--;
    } else if (is_open(x->kind)) {
        Round r = {column + 1, column};
        if (last)
            r = (Round){indent + STEP_WIDTH, indent};
        else if (column > LINE_WIDTH / 2)
            r = (Round){indent + 2 * STEP_WIDTH, indent};
        list_push(l->arena, &l->round, r);
    } else if (closes(x->kind) && l->round.n) {
        l->round.n--;
    }
}

/* ---- where to break a line that is too long ---- */

/* How bad a break before piece i is, at a depth of brackets; -1: none. */
static int badness(const Lines *l, int i, int rounds)
{
    const Piece *a = &l->piece[i - 1];
    int tight;
    switch (a->kind) {
    case ',':
        tight = 0;
        break;
    case '?':
    case OR:
    case AND:
        tight = 1;
        break;
    case ':':
        if (!a->choice)
            return -1;
        tight = 1;
        break;
    case '+':
        tight = 3;
        break;
    case '-':
        if (a->unary)
            return -1;
        tight = 3;
        break;
    case '*':
    case '/':
    case '%':
    case '@':
        tight = 4;
        break;
    case '^':
        tight = 5;
        break;
    case '=':
    case BECOMES:
    case ARROW:
    case ELSE:
        return 100000 + rounds;
    case '(':
    case '[':
        return closes(l->piece[i].kind) ? -1 : 200000 + rounds;
    default:
        if (!dsl_continues(a->kind) || a->kind == '.' || a->kind == '{' ||
            a->kind == NOT)
            return -1;
        tight = 2;
    }
    return 10 * rounds + tight;
}

/* The first block on one line among the pieces, or -1. */
static int one_line_block(const Lines *l, int from, int to)
{
    for (int i = from; i < to; i++)
        if (l->piece[i].kind == '{' && l->piece[i].one_line)
            return i;
    return -1;
}

typedef struct {
    int end;    /* the piece that starts the next line */
    bool wide;  /* it does not fit */
    int better; /* where to break it, or -1 */
} Extent;

/* Lays the line from piece i on; if it is too wide, the best break before the
 * edge, else the first after it. */
static Extent measure(const Lines *l, int i, int column)
{
    int rounds = l->round.n, best = -1;
    Extent e = {.better = -1};
    int k = i;
    for (; k < l->n && (k == i || !must_break(l, k)); k++) {
        if (l->piece[k].kind == RAW_comment && k > i)
            continue;
        int bad = k > i ? badness(l, k, rounds) : -1;
        if (k > i)
            column += (int)strlen(between(l, k));
        if (bad >= 0 && !(e.wide && e.better >= 0) && column <= LINE_WIDTH &&
            (best < 0 || bad <= best))
            best = bad, e.better = k;
        if (bad >= 0 && column > LINE_WIDTH && e.better < 0)
            e.better = k;
        column += l->piece[k].width;
        e.wide = e.wide || column > LINE_WIDTH;
        rounds += is_open(l->piece[k].kind) - closes(l->piece[k].kind);
        if (e.wide && e.better >= 0)
            break;
    }
    e.end = k;
    return e;
}

/* The end of the line that starts with piece i. */
static int choose_end(Lines *l, int i, int column)
{
    for (;;) {
        Extent e = measure(l, i, column);
        if (!e.wide)
            return e.end;
        int last = e.end < l->n ? e.end + 1 : l->n;
        int block = one_line_block(l, i, last);
        if (block < 0)
            return e.better >= 0 ? e.better : e.end;
        l->piece[block].one_line = false;
    }
}

/* ---- printing ---- */

static void blanks(Lines *l, int n)
{
    while (n-- > 0)
        dsl_put(l->out, " ", 1);
}

static void blank_line(Lines *l, int i)
{
    int before = i ? l->piece[i - 1].kind : 0;
    if (l->piece[i].lines > 1 && l->out->n && !is_open(before) &&
        !closes(l->piece[i].kind)) {
        dsl_put(l->out, "\n", 1);
        l->line++;
    }
}

static int print_line(Lines *l, int i)
{
    int indent = line_indent(l, i), column = indent;
    int end = choose_end(l, i, column);
    blank_line(l, i);
    blanks(l, indent);
    for (int k = i; k < end; k++) {
        const Piece *x = &l->piece[k];
        if (k > i && x->kind == RAW_comment) {
            Beside b = {l->out->n, column, l->line};
            list_push(l->arena, &l->beside, b);
        }
        if (k > i) {
            const char *gap = between(l, k);
            dsl_put(l->out, gap, strlen(gap));
            column += (int)strlen(gap);
        }
        pass(l, k, column, indent, k == end - 1 || breaks_after(l, k));
        dsl_put(l->out, x->s, (size_t)x->len);
        column += x->width;
    }
    dsl_put(l->out, "\n", 1);
    l->line++;
    return end;
}

/* Comments beside lines that follow each other start in one column, unless
 * the lines differ too much. The end of the group that starts with i; *to is
 * the column, or 0. */
static int comment_group(const Lines *l, int i, int *to)
{
    int n = i + 1, low = l->beside.at[i].column, high = low;
    while (n < l->beside.n &&
           l->beside.at[n].line == l->beside.at[n - 1].line + 1) {
        int column = l->beside.at[n++].column;
        low = column < low ? column : low;
        high = column > high ? column : high;
    }
    *to = high - low <= LINE_WIDTH / 3 ? high : 0;
    return n;
}

/* Puts what was printed from `start` on again, with the blanks added. */
static void align_comments(Lines *l, size_t start)
{
    Out *o = l->out;
    size_t done = start, n = o->n;
    char *old = arena_strn(l->arena, o->at + start, n - start);
    o->n = start;
    for (int i = 0; i < l->beside.n;) {
        int to, end = comment_group(l, i, &to);
        for (; i < end; i++) {
            const Beside *b = &l->beside.at[i];
            dsl_put(o, old + done - start, b->at - done);
            done = b->at;
            blanks(l, to - b->column);
        }
    }
    dsl_put(o, old + done - start, n - done);
}

void dsl_format_lines(Arena *arena, Out *o, Piece *piece, int n)
{
    Lines l = {.arena = arena, .out = o, .piece = piece, .n = n};
    size_t start = o->n;
    for (int i = 0; i < n;)
        i = print_line(&l, i);
    if (l.beside.n)
        align_comments(&l, start);
}
