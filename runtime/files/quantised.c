/* Weights that GPTQ, AWQ or bitsandbytes have quantised: several tensors of a
 * folder become one, whose values are computed when they are read. Exact: a
 * code times its scale, in f32. */
#include "runtime/files/files_private.h"
#include <string.h>

typedef enum { MADE_gptq, MADE_awq, MADE_int8, MADE_blocks } Kind;

typedef struct {
    TensorMade made;
    Kind kind;
    const FileTensor *code, *zero, *scale, *group; /* of columns, or NULL */
    int bits;
    int64_t block;     /* columns, or elements, that share a scale */
    int plus;          /* GPTQ stores its zeros less one */
    const float *map;  /* values of the 16 codes */
    const FileTensor *outer, *outer_map; /* of scales that are codes */
    int64_t outer_block;
    double offset;
} Codes;

static uint32_t word(const FileTensor *t, int64_t i)
{
    uint32_t v;
    memcpy(&v, (const char *)t->info.data + 4 * i, sizeof v);
    return v;
}

static float real(const FileTensor *t, int64_t i)
{
    float v;
    widen_f32(t->info.dtype,
              (const char *)t->info.data + type_bytes(t->info.dtype, i), 1,
              &v);
    return v;
}

static int64_t group_of(const Codes *m, int64_t col)
{
    int64_t groups = m->scale->info.shape[0];
    int64_t g = m->group ? (int64_t)word(m->group, col) : col / m->block;
    return g < groups ? g : groups - 1;
}

/* Row `o` of a matrix whose codes lie eight (or so) to a word. */
static void packed_row(const Codes *m, int64_t o, int64_t from,
                       int64_t n, float *out)
{
    static const int awq[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    int per = 32 / m->bits;
    uint32_t mask = (1u << m->bits) - 1;
    int64_t rows = m->scale->info.shape[1], zeros = rows / per;
    int at = m->kind == MADE_awq ? awq[o % 8] : (int)(o % per);
    for (int64_t i = from; i < from + n; i++) {
        int64_t g = group_of(m, i);
        uint32_t z = word(m->zero, g * zeros + o / per) >> (m->bits * at);
        uint32_t q = m->kind == MADE_awq
                         ? word(m->code, i * zeros + o / per) >> (4 * at)
                         : word(m->code, i / per * rows + o) >>
                               (m->bits * (int)(i % per));
        int code = (int)(q & mask) - ((int)(z & mask) + m->plus);
        out[i - from] = real(m->scale, g * rows + o) * (float)code;
    }
}

static float block_scale(const Codes *m, int64_t b)
{
    if (!m->outer)
        return real(m->scale, b);
    int code = ((const uint8_t *)m->scale->info.data)[b];
    return real(m->outer_map, code) * real(m->outer, b / m->outer_block) +
           (float)m->offset;
}

/* Columns at .. at + n - 1 of a row. */
static void read_codes(const TensorMade *made, int64_t row, int64_t at,
                       int64_t n, float *out)
{
    const Codes *m = (const Codes *)made;
    int64_t e = row * made->cols + at;
    if (m->kind == MADE_gptq || m->kind == MADE_awq) {
        packed_row(m, row, at, n, out);
        return;
    }
    const uint8_t *code = m->code->info.data;
    for (int64_t k = 0; k < n; k++)
        if (m->kind == MADE_int8)
            out[k] = (float)(int8_t)code[e + k] * real(m->scale, row) / 127;
        else
            out[k] = m->map[code[(e + k) / 2] >> ((e + k) % 2 ? 0 : 4) & 15] *
                     block_scale(m, (e + k) / m->block);
}

/* ---- finding them ---- */

static const FileTensor *part(const Checkpoint *c, const char *name,
                              const char *end)
{
    return checkpoint_find(c, intern_printf("%s%s", name, end));
}

static bool is(const FileTensor *t, Dtype type, int rank)
{
    return t && t->info.dtype == type && t->info.rank == rank;
}

static double number(const cJSON *o, const char *name, double otherwise)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

static bool bad(const FileTensor *t, const char *what, Err *err)
{
    return err_set(err, "%s: tensor %s: %s", t->path, tensor_text(&t->info),
                   what);
}

typedef struct {
    Checkpoint *c;
    const cJSON *how; /* quantization_config */
    const char *method;
    Err *err;
} Join;

/* NAME.qweight and what goes with it, as NAME.weight. */
static bool packed(Join *j, const FileTensor *code, const char *name,
                   FileTensor *out)
{
    Checkpoint *c = j->c;
    bool awq = !strcmp(j->method, "awq");
    Codes *m = arena_alloc(&c->arena, sizeof *m);
    const cJSON *format =
        cJSON_GetObjectItemCaseSensitive(j->how, "checkpoint_format");
    *m = (Codes){
        .kind = awq ? MADE_awq : MADE_gptq, .code = code,
        .zero = part(c, name, ".qzeros"), .scale = part(c, name, ".scales"),
        .group = awq ? NULL : part(c, name, ".g_idx"),
        .bits = (int)number(j->how, "bits", 4),
        .block = (int64_t)number(j->how, "group_size", 128),
        .plus = !awq && !(cJSON_IsString(format) &&
                          !strcmp(format->valuestring, "gptq_v2"))};
    if ((m->bits != 4 && (awq || (m->bits != 8 && m->bits != 2))) ||
        !is(code, TYPE_i32, 2) || !is(m->zero, TYPE_i32, 2) || !m->scale ||
        m->scale->info.rank != 2 || !type_is_float(m->scale->info.dtype))
        return bad(code, "its codes, zeros and scales are of no form that "
                   "graft reads (2, 4 or 8 bits)", j->err);
    int per = 32 / m->bits;
    int64_t rows = m->scale->info.shape[1], groups = m->scale->info.shape[0];
    int64_t cols = awq ? code->info.shape[0] : code->info.shape[0] * per;
    if (m->block < 1)
        m->block = cols;
    if (groups < 1 || rows % per || m->zero->info.shape[0] != groups ||
        m->zero->info.shape[1] != rows / per ||
        code->info.shape[1] != (awq ? rows / per : rows) ||
        (m->group && (!is(m->group, TYPE_i32, 1) ||
                      m->group->info.shape[0] != cols)))
        return bad(code, "its shape does not fit its scales", j->err);
    out->info = (TensorInfo){.dtype = TYPE_f32, .rank = 2,
                             .shape = {rows, cols}};
    out->made = &m->made;
    return true;
}

static bool int8(Join *j, const FileTensor *code, const char *name,
                 FileTensor *out)
{
    Codes *m = arena_alloc(&j->c->arena, sizeof *m);
    *m = (Codes){.kind = MADE_int8, .code = code,
                             .scale = part(j->c, name, ".SCB")};
    if (!is(code, TYPE_i8, 2) || !is(m->scale, TYPE_f32, 1) ||
        m->scale->info.shape[0] != code->info.shape[0])
        return bad(code, "int8 without its scales", j->err);
    out->info = code->info;
    out->info.dtype = TYPE_f32;
    out->made = &m->made;
    return true;
}

static cJSON *state_of(Join *j, const char *name)
{
    static const char *const kinds[] = {"nf4", "fp4"};
    Err none;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const FileTensor *t = part(
            j->c, name, intern_printf(".weight.quant_state.bitsandbytes__%s",
                                      kinds[i]));
        if (t && t->info.dtype == TYPE_u8)
            return json_object(t->path, t->info.data, (size_t)t->info.bytes,
                               &none);
    }
    return NULL;
}

static bool blocks(Join *j, const FileTensor *code, const char *name,
                   FileTensor *out)
{
    Checkpoint *c = j->c;
    Codes *m = arena_alloc(&c->arena, sizeof *m);
    cJSON *state = state_of(j, name);
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(state, "shape");
    const FileTensor *map = part(c, name, ".weight.quant_map");
    int64_t rows = 0, cols = 0;
    *m = (Codes){
        .kind = MADE_blocks, .code = code,
        .scale = part(c, name, ".weight.absmax"),
        .block = (int64_t)number(state, "blocksize", 64),
        .outer = part(c, name, ".weight.nested_absmax"),
        .outer_map = part(c, name, ".weight.nested_quant_map"),
        .outer_block = (int64_t)number(state, "nested_blocksize", 256),
        .offset = number(state, "nested_offset", 0)};
    bool sized = cJSON_GetArraySize(shape) == 2 &&
                 json_size(shape->child, &rows) &&
                 json_size(shape->child->next, &cols) && rows > 0 && cols > 0;
    cJSON_Delete(state);
    int64_t count = sized && rows < INT32_MAX && cols < INT32_MAX
                        ? rows * cols : 0;
    int64_t need = m->block > 0 ? (count + m->block - 1) / m->block : 0;
    bool nested = m->outer != NULL;
    if (!count || !is(code, TYPE_u8, code->info.rank) ||
        code->info.bytes != (count + 1) / 2 || !is(map, TYPE_f32, 1) ||
        map->info.shape[0] != 16 || !m->scale ||
        m->scale->info.dtype != (nested ? TYPE_u8 : TYPE_f32) ||
        m->scale->info.rank != 1 || m->scale->info.shape[0] != need ||
        (nested && (m->outer_block < 1 || !is(m->outer, TYPE_f32, 1) ||
                    m->outer->info.shape[0] * m->outer_block < need ||
                    !is(m->outer_map, TYPE_f32, 1) ||
                    m->outer_map->info.shape[0] != 256)))
        return bad(code, "its blocks and scales are of no form that graft "
                   "reads", j->err);
    float *values = arena_alloc(&c->arena, 16 * sizeof *values);
    memcpy(values, map->info.data, 16 * sizeof *values);
    m->map = values;
    out->info = (TensorInfo){.dtype = TYPE_f32, .rank = 2,
                             .shape = {rows, cols}};
    out->made = &m->made;
    return true;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* What a widened weight was made of. */
static bool is_part(const char *name)
{
    static const char *const ends[] = {
        ".qweight", ".qzeros", ".scales", ".g_idx", ".SCB", ".weight_format",
        ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map",
        ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"};
    for (size_t i = 0; i < COUNT(ends); i++)
        if (ends_with(name, ends[i]))
            return true;
    return false;
}

/* The tensor itself, or the weight whose codes it is. */
static bool widened(Join *j, const FileTensor *t, FileTensor *out)
{
    bool words = ends_with(t->info.name, ".qweight");
    const char *end = words ? ".qweight" : ".weight";
    *out = *t;
    if (!ends_with(t->info.name, end))
        return true;
    const char *name = intern_n(t->info.name,
                                strlen(t->info.name) - strlen(end));
    bool codes = t->info.dtype == TYPE_i8 || t->info.dtype == TYPE_u8;
    if (!words && !codes)
        return true;
    if (!(words                        ? packed(j, t, name, out)
          : t->info.dtype == TYPE_i8 ? int8(j, t, name, out)
                                       : blocks(j, t, name, out)))
        return false;
    ((Codes *)out->made)->made = (TensorMade){read_codes, out->info.shape[1]};
    out->info.name = intern_printf("%s.weight", name);
    return made_tensor(out) || bad(t, "its shape is too large", j->err);
}

bool quantised_join(Checkpoint *c, Err *err)
{
    Join j = {.c = c, .err = err};
    j.how = cJSON_GetObjectItemCaseSensitive(c->config, "quantization_config");
    const cJSON *how = cJSON_GetObjectItemCaseSensitive(j.how, "quant_method");
    j.method = cJSON_IsString(how) ? how->valuestring : "none";
    if (!cJSON_IsObject(j.how) || !strcmp(j.method, "none"))
        return true;
    if (strcmp(j.method, "gptq") && strcmp(j.method, "awq") &&
        strcmp(j.method, "bitsandbytes"))
        return err_set(err, "%s: its weights are quantised by %.60s, which "
                       "graft does not read (gptq, awq, bitsandbytes): give "
                       "the model they were made of, or a GGUF file", c->path,
                       j.method);
    FileTensor *made = arena_alloc(&c->arena, ((size_t)c->tensors + 1) *
                                                  sizeof *made);
    FileTensor *old = c->tensor; /* parts of weights stay where they are */
    int n = c->tensors;
    for (int i = 0; i < n; i++)
        if (!widened(&j, &old[i], &made[i]))
            return false;
    c->parts = old;
    c->tensor = NULL;
    c->tensors = 0;
    names_free(c->index);
    for (int i = 0; i < n; i++)
        if ((made[i].made || !is_part(old[i].info.name)) &&
            !checkpoint_add(c, made[i], err))
            return false;
    return true;
}
