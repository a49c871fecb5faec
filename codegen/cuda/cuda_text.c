/* The text of a CUDA function while it is printed: lines, names, sizes. */
#include "codegen/cuda/cuda_text.h"
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

/* ---- lines ---- */

static void blanks(Cu *c, int n)
{
    fprintf(c->out, "%*s", n, "");
}

/* Where to break s so that at most `room` bytes stay: after a comma if that
 * leaves no short line, else at a blank; 0: nowhere. */
static size_t break_at(const char *s, size_t room)
{
    for (size_t i = room; i > room / 2; i--)
        if (s[i] == ' ' && s[i - 1] == ',')
            return i;
    for (size_t i = room; i > 16; i--)
        if (s[i] == ' ' && s[i + 1] != '=' && s[i - 1] != '?')
            return i;
    return 0;
}

static void put(Cu *c, const char *s, const char *end)
{
    int in = c->indent * 4;
    blanks(c, in);
    for (;;) {
        size_t room = (size_t)(79 - in), len = strlen(s);
        size_t at = len + strlen(end) > room ? break_at(s, room) : 0;
        if (!at)
            break;
        fprintf(c->out, "%.*s\n", (int)at, s);
        s += at + 1;
        in = c->indent * 4 + 8;
        blanks(c, in);
    }
    fprintf(c->out, "%s%s\n", s, end);
}

static const char *formatted(Cu *c, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *s = arena_alloc(c->arena, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    return s;
}

void cu_line(Cu *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put(c, formatted(c, fmt, ap), "");
    va_end(ap);
}

void cu_open(Cu *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put(c, formatted(c, fmt, ap), " {");
    va_end(ap);
    c->indent++;
}

void cu_close(Cu *c)
{
    c->indent--;
    cu_line(c, "}");
}

const char *cu_text(Cu *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *s = formatted(c, fmt, ap);
    va_end(ap);
    return s;
}

int cu_mark(const Cu *c)
{
    return c->known.n;
}

void cu_forget(Cu *c, int mark)
{
    c->known.n = mark;
}

/* ---- names ---- */

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Is it a function or a macro of the headers? Long names may not be any word
 * there: macros make functions of them. */
static bool in_headers(const char *name, size_t len)
{
    const char *const header[] = {text_cuda_dev, text_cuda_math};
    for (size_t i = 0; i < COUNT(header); i++)
        for (const char *at = header[i]; (at = strstr(at, name)); at++) {
            bool begins = at == header[i] || !is_letter(at[-1]);
            bool macro = at - header[i] >= 8 && !memcmp(at - 8, "#define ", 8);
            if (begins && !is_letter(at[len]) &&
                (macro || at[len] == '(' || len > 3))
                return true;
        }
    return false;
}

static bool of_headers(const char *name)
{
    size_t len = strlen(name);
    char root[64];
    if (in_headers(name, len))
        return true;
    if (len < 5 || len >= sizeof root || !strchr("fi", name[len - 1]))
        return false;
    memcpy(root, name, len - 1); /* MATH and WARP add a letter */
    root[len - 1] = 0;
    return in_headers(root, len - 1);
}

/* The words of C, what the printers call their own variables, and what the
 * headers have. */
static bool is_taken(const Cu *c, const char *name)
{
    static const char *const own[] = {
        "acc", "asm", "auto", "bool", "break", "case", "char", "class",
        "const", "continue", "default", "delete", "do", "double", "else",
        "enum", "extern", "false", "float", "for", "goto", "if", "inline",
        "int", "lane", "last", "long", "namespace", "new", "operator",
        "private", "public", "register", "return", "row", "short", "signed",
        "sizeof", "smem", "static", "struct", "switch", "template", "this",
        "tid", "true", "typedef", "union", "unsigned", "using", "virtual",
        "void", "volatile", "warp", "while", "tile", "from", "element", "at",
        "begin", "end", "expert", "batch", "step", "chunk", "to", "col", "mi",
        "ni", "quad", "fx", "fw", "tx", "tw", "k0", "ld", "first", "wm", "wn",
        "order", "count", "hit", "hits", "key", "best", "BM", "BN", "BK",
        "LD", "MI", "NI", "PARTS", "KP", "STEPS", "STAGES", "COLS", "PICKS",
        "first_col", "slot", "exp", "log", "sqrt", "tanh", "sigmoid", "silu",
        "gelu", "gelu_tanh", "relu", "softplus", "cdf", "sin", "cos", "acos",
        "floor", "ceil", "pow", "fmin", "fmax", "y0", "y1", "yn", "j0", "j1",
        "jn", "bf16", "f16", "u32", "u64", "i64", "item", "part", "px", "pw",
        "there", "tiles", "DEPTH", "WARPS", "AHEAD", "PARTS", "low", "high",
        "full", "total", "xat", "wat", "swizzled", "now", "next", "quotient",
        "exponential", "sigmoid_coarse", "silu_coarse", "v16", "warp_sum",
        "warp_sumf", "warp_sumi",
        "warp_largest", "warp_largestf", "warp_largesti", "warp_best",
        "query", "share", "whole", "own", "token", "head", "group", "seen",
        "val", "score", "most", "by", "weight", "sum", "top", "out", "sunk",
        "joined", "back", "base", "capacity", "draw", "depth", "rank",
        "together", "number", "other", "keep", "i", "j", "n", "threadIdx",
        "blockIdx", "blockDim", "gridDim", "INFINITE", "NOT_A_NUMBER",
        "atomicAdd", "max", "min"};
    for (size_t i = 0; i < COUNT(own); i++)
        if (!strcmp(own[i], name))
            return true;
    if (of_headers(name) || cu_op_word(name))
        return true;
    for (int i = 0; i < c->taken.n; i++)
        if (c->taken.at[i] == name)
            return true;
    return false;
}

const char *cu_name(Cu *c, const char *wish)
{
    char text[64];
    snprintf(text, sizeof text, "%s%.48s",
             isalpha((unsigned char)*wish) ? "" : "v", wish);
    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    const char *name = intern(*text ? text : "v");
    for (int i = 2; is_taken(c, name); i++)
        name = intern_printf("%s_%d", text, i);
    list_push(c->arena, &c->taken, name);
    return name;
}

static struct CuDim *named(Cu *c, const Dim *d)
{
    for (int i = 0; i < c->dim.n; i++)
        if (c->dim.at[i].dim == d)
            return &c->dim.at[i];
    list_push(c->arena, &c->dim, (struct CuDim){.dim = d});
    return &c->dim.at[c->dim.n - 1];
}

const char *cu_size(Cu *c, const Dim *d)
{
    struct CuDim *to = named(c, d);
    if (to->size)
        return to->size;
    const char *wish = isupper((unsigned char)*d->name)
                           ? d->name
                           : cu_text(c, "n_%s", d->name);
    const char *name = size_is_num(d->size, NULL)
                           ? cu_name(c, wish)
                           : cu_param(c, d->size, false, wish);
    named(c, d)->size = name;
    return name;
}

const char *cu_index(Cu *c, const Dim *d)
{
    struct CuDim *to = named(c, d);
    if (to->index)
        return to->index;
    char low[64];
    snprintf(low, sizeof low, "%.60s", d->name);
    low[0] = (char)tolower((unsigned char)low[0]);
    const char *name = cu_name(c, low);
    named(c, d)->index = name;
    return name;
}

const char *cu_count(Cu *c, int n, const Dim *const *d)
{
    if (!n)
        return "1";
    const char *s = cu_size(c, d[0]);
    for (int i = 1; i < n; i++)
        s = cu_text(c, "%s * %s", s, cu_size(c, d[i]));
    return n > 1 ? cu_text(c, "(%s)", s) : s;
}

const char *cu_long(Cu *c, int n, const Dim *const *d)
{
    const char *s = cu_text(c, "(i64)%s", n ? cu_size(c, d[0]) : "1");
    for (int i = 1; i < n; i++)
        s = cu_text(c, "%s * %s", s, cu_size(c, d[i]));
    return s;
}

const Size *cu_size_of(int n, const Dim *const *d)
{
    const Size *s = size_num(1);
    for (int i = 0; i < n; i++)
        s = size_mul(s, d[i]->size);
    return s;
}

void cu_grid(Cu *c, int i, const Size *n, int per, const Size *more)
{
    double known;
    const Size *blocks = size_ceil(size_div(n, size_num(per)));
    c->to->grid[i] = more ? size_add(blocks, more) : blocks;
    if (size_is_num(c->to->grid[i], &known))
        c->grid[i] = cu_text(c, "%.0f", known);
    else if (per > 1)
        c->grid[i] = cu_text(c, "ceil(%s / %d)%s%s", size_text(n), per,
                             more ? " + " : "", more ? size_text(more) : "");
    else
        c->grid[i] = size_text(c->to->grid[i]);
}

void cu_items(Cu *c, const Size *n, const char *count)
{
    enum { THREADS = 256 };
    c->to->threads = THREADS;
    cu_grid(c, 0, n, THREADS, NULL);
    cu_line(c, "i64 item = (i64)blockIdx.x * %d + threadIdx.x;", THREADS);
    cu_line(c, "if (item >= %s)", count);
    cu_line(c, "    return;");
}

/* Two dims of one size share its parameter. */
const char *cu_param(Cu *c, const Size *s, bool real, const char *wish)
{
    CudaKernel *k = c->to;
    for (int i = 0; i < k->nsize; i++)
        if (k->size[i].size == s && k->size[i].real == real)
            return k->size_name[i];
    if (k->nsize == COUNT(k->size))
        BUG("%s: more than %d sizes", k->name, k->nsize);
    k->size[k->nsize] = (struct RunSize){s, real};
    return k->size_name[k->nsize++] = cu_name(c, wish);
}

/* ---- types, buffers ---- */

const char *cu_type(Dtype t)
{
    switch (t) {
    case TYPE_f32: return "float";
    case TYPE_f64: return "double";
    case TYPE_i32: return "int";
    case TYPE_bool: return "unsigned char";
    case TYPE_bf16: return "bf16";
    case TYPE_f16: return "f16";
    default: BUG("no CUDA type for %s", type_info[t].name);
    }
}

const char *cu_register(Dtype t)
{
    return t == TYPE_f64 ? "double" : cu_is_float(t) ? "float" : "int";
}

const char *cu_widened(Cu *c, Dtype t, const char *element)
{
    if (t == TYPE_bf16)
        return cu_text(c, "bf2f(%s)", element);
    return t == TYPE_f16 ? cu_text(c, "h2f(%s)", element) : element;
}

const char *cu_narrowed(Cu *c, Dtype t, const char *value)
{
    if (t == TYPE_bf16)
        return cu_text(c, "f2bf(%s)", value);
    return t == TYPE_f16 ? cu_text(c, "f2h(%s)", value) : value;
}

bool cu_is_float(Dtype t)
{
    return type_is_float(t);
}

const char *cu_arg(Cu *c, const Buffer *b)
{
    int i = kernel_arg(c->kernel, b);
    if (i < 0)
        BUG("%s: buffer %d is not its own", c->kernel->name, b->id);
    return c->arg[i];
}
