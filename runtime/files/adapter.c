/* What PEFT has trained beside a model: LoRA's matrices, merged into the base's
 * weights as they are read, W + s B A with s = alpha / r (Hu et al.,
 * arXiv 2106.09685), alpha / sqrt(r) for rank-stabilised LoRA
 * (2312.03732); DoRA gives each row a length of its own (2402.09353). The
 * result is what the model computes with its adapter beside it: an embedding
 * and a head that the base ties, and only one of which is adapted, are two
 * tensors then. */
#include "runtime/files/files_private.h"
#include <math.h>
#include <oniguruma.h>
#include <string.h>

typedef struct {
    TensorMade made;
    FileTensor base, a, b; /* a [r, in], b [out, r] */
    FileTensor length;     /* DoRA: of each row; no name: none */
    double scale;
    bool turned; /* base is [in, out] */
} Lora;

enum { STEPS_MOST = 1000000 }; /* of a pattern that is tried */

typedef struct {
    Checkpoint *c;
    const cJSON *config;
    const char *path;        /* the adapter's file of tensors */
    const char *embed, *head; /* tied in the base, or NULL */
    bool untied;
    LIST(FileTensor) tensor;
    Arena arena;
    Err *err;
} Merge;

/* ---- reading ---- */

static double element(const FileTensor *t, int64_t i)
{
    double v;
    tensor_read(t, i, 1, TYPE_f64, &v);
    return v;
}

/* sum += scale b[row, :] a[:, at .. at + n - 1] */
static void add_rows(const Lora *m, int64_t row, int64_t at, int64_t n,
                     double *sum)
{
    float piece[MADE_PIECE];
    int64_t rank = m->a.info.shape[0], in = m->a.info.shape[1];
    for (int64_t k = 0; k < rank; k++) {
        double b = m->scale * element(&m->b, row * rank + k);
        tensor_read(&m->a, k * in + at, n, TYPE_f32, piece);
        for (int64_t i = 0; i < n; i++)
            sum[i] += b * piece[i];
    }
}

/* The same, turned: b[at .. at + n - 1, :] a[:, row] */
static void add_columns(const Lora *m, int64_t row, int64_t at, int64_t n,
                        double *sum)
{
    int64_t rank = m->a.info.shape[0], in = m->a.info.shape[1];
    for (int64_t k = 0; k < rank; k++) {
        double a = m->scale * element(&m->a, k * in + row);
        for (int64_t i = 0; i < n; i++)
            sum[i] += a * element(&m->b, (at + i) * rank + k);
    }
}

static void read_sum(const Lora *m, int64_t row, int64_t at, int64_t n,
                     double *sum)
{
    tensor_read(&m->base, row * m->made.cols + at, n, TYPE_f64, sum);
    if (m->turned)
        add_columns(m, row, at, n, sum);
    else
        add_rows(m, row, at, n, sum);
}

/* What DoRA multiplies a row with: its length over that of the sum. */
static double stretch(const Lora *m, int64_t row)
{
    double sum[MADE_PIECE], all = 0;
    int64_t cols = m->made.cols;
    for (int64_t at = 0, n; at < cols; at += n) {
        n = cols - at < MADE_PIECE ? cols - at : MADE_PIECE;
        read_sum(m, row, at, n, sum);
        for (int64_t i = 0; i < n; i++)
            all += sum[i] * sum[i];
    }
    return element(&m->length, row) / sqrt(all);
}

static void read_lora(const TensorMade *made, int64_t row, int64_t at,
                      int64_t n, float *out)
{
    const Lora *m = (const Lora *)made;
    double sum[MADE_PIECE], by = m->length.info.name ? stretch(m, row) : 1;
    read_sum(m, row, at, n, sum);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(by * sum[i]);
}

/* ---- names ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* The name without its `end`; NULL: it has another. */
static const char *before(const char *name, const char *end)
{
    return ends_with(name, end)
               ? intern_n(name, strlen(name) - strlen(end))
               : NULL;
}

static const char *without(const char *name, const char *part)
{
    const char *at = strstr(name, part);
    return at ? intern_printf("%.*s%s", (int)(at - name), name,
                              at + strlen(part))
              : name;
}

static const FileTensor *own(const Merge *m, const char *module,
                             const char *end)
{
    const char *name = intern_printf("%s%s", module, end);
    for (int i = 0; i < m->tensor.n; i++)
        if (m->tensor.at[i].info.name == name)
            return &m->tensor.at[i];
    return NULL;
}

static bool bad(const Merge *m, const FileTensor *t, const char *what)
{
    return err_set(m->err, "%s: tensor %s: %s", m->path, tensor_text(&t->info),
                   what);
}

/* ---- what an adapter's config says ---- */

static const cJSON *field(const Merge *m, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(m->config, name);
}

/* A pattern of the config, a regular expression of Python's, stands for the
 * whole name or for what is behind one of its dots, as peft has it. */
static bool matches(const Merge *m, const char *pattern, const char *module,
                    bool *out)
{
    regex_t *re;
    const OnigUChar *whole =
        (const OnigUChar *)intern_printf("(.*\\.)?(%s)$", pattern);
    const OnigUChar *name = (const OnigUChar *)module;
    const OnigUChar *end = name + strlen(module);
    onig_initialize((OnigEncoding[]){ONIG_ENCODING_UTF8}, 1);
    if (strlen(pattern) > 500 ||
        onig_new(&re, whole, whole + strlen((const char *)whole),
                 ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_PYTHON,
                 NULL) != ONIG_NORMAL)
        return err_set(m->err, "%s: the pattern %.200s is none that graft "
                       "reads", m->path, pattern);
    OnigMatchParam *most = onig_new_match_param();
    onig_initialize_match_param(most);
    onig_set_retry_limit_in_match_of_match_param(most, STEPS_MOST);
    int got = onig_match_with_param(re, name, end, name, NULL,
                                    ONIG_OPTION_NONE, most);
    onig_free(re);
    onig_free_match_param(most);
    *out = got >= 0;
    return got >= ONIG_MISMATCH ||
           err_set(m->err, "%s: the pattern %.200s takes too long", m->path,
                   pattern);
}

/* alpha, of this module. */
static bool read_alpha(const Merge *m, const char *module, double *alpha)
{
    const cJSON *list = field(m, "alpha_pattern"), *all =
        field(m, "lora_alpha");
    *alpha = cJSON_IsNumber(all) ? all->valuedouble : 8;
    for (const cJSON *i = list ? list->child : NULL; i; i = i->next) {
        bool is = false;
        if (!matches(m, i->string, module, &is))
            return false;
        if (is && cJSON_IsNumber(i)) {
            *alpha = i->valuedouble;
            break;
        }
    }
    return true;
}

static bool is_said(const cJSON *v)
{
    return v && !cJSON_IsNull(v) && !cJSON_IsFalse(v) &&
           !((cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child);
}

/* LoRA without what makes another method of it. */
static bool check_config(const Merge *m)
{
    static const char *const no[] = {
        "alora_invocation_tokens", "arrow_config",     "kasa_config",
        "layer_replication",       "lora_bias",        "monteclora_config",
        "target_parameters",       "trainable_token_indices",
        "use_bdlora",              "use_qalora",       "velora_config"};
    static const char *const from[] = {"pissa", "olora", "corda", "loftq",
                                       "lora_ga"};
    const cJSON *kind = field(m, "peft_type"),
                *init = field(m, "init_lora_weights");
    if (!cJSON_IsString(kind) || strcmp(kind->valuestring, "LORA"))
        return err_set(m->err, "%s: a PEFT adapter of kind %.40s; graft merges "
                       "LORA alone", m->path,
                       cJSON_IsString(kind) ? kind->valuestring : "none");
    for (size_t i = 0; i < COUNT(no); i++)
        if (is_said(field(m, no[i])))
            return err_set(m->err, "%s: its `%s` is not read: merge it with "
                           "peft first (merge_and_unload)", m->path, no[i]);
    for (size_t i = 0; cJSON_IsString(init) && i < COUNT(from); i++)
        if (!strncmp(init->valuestring, from[i], strlen(from[i])))
            return err_set(m->err, "%s: init_lora_weights %.40s changes the "
                           "base's weights too: merge it with peft first "
                           "(merge_and_unload)", m->path, init->valuestring);
    return true;
}

/* ---- where it goes ---- */

/* The base's tensor of that name, perhaps under "model."; NULL: none. A head
 * that the base has not, as it is tied, is its embedding. */
static FileTensor *target(Merge *m, const char *name)
{
    const FileTensor *t = checkpoint_find(m->c, name);
    if (!t)
        t = checkpoint_find(m->c, intern_printf("model.%s", name));
    if (!t && m->head && !strcmp(name, m->head))
        t = checkpoint_find(m->c, m->embed);
    return t ? &m->c->tensor[t - m->c->tensor] : NULL;
}

/* Before one of a tied pair changes: the other is a tensor of its own. */
static bool untie(Merge *m, const char *name)
{
    if (!m->head || (strcmp(name, m->head) && strcmp(name, m->embed)))
        return true;
    m->untied = true;
    const FileTensor *embed = checkpoint_find(m->c, m->embed);
    if (!embed || checkpoint_find(m->c, m->head))
        return true;
    FileTensor head = *embed;
    head.info.name = intern(m->head);
    return checkpoint_add(m->c, head, m->err);
}

/* A tensor that stands in the place of the base's. `deep`: of the layer below
 * LoRA, which is the base's own and stays tied. */
static bool replace(Merge *m, const FileTensor *t)
{
    bool deep = strstr(t->info.name, ".base_layer.");
    const char *name = without(without(t->info.name, ".base_layer"),
                               ".modules_to_save");
    FileTensor *to = target(m, name);
    if (!to)
        return bad(m, t, "is neither LoRA's nor the base's");
    if (to->info.rank != t->info.rank ||
        memcmp(to->info.shape, t->info.shape,
               (size_t)t->info.rank * sizeof *t->info.shape))
        return err_set(m->err, "%s: tensor %s takes the place of %s", m->path,
                       tensor_text(&t->info), tensor_text(&to->info));
    if (!deep && !untie(m, name))
        return false;
    to = target(m, name);
    FileTensor as = *t;
    as.info.name = to->info.name;
    as.file_name = t->info.name;
    *to = as;
    return true;
}

static bool is_matrix(const FileTensor *t)
{
    return t && t->info.rank == 2 && type_is_float(t->info.dtype) &&
           t->info.shape[0] > 0 && t->info.shape[1] > 0;
}

static bool fits(const Lora *l)
{
    const int64_t *w = l->base.info.shape;
    int64_t in = l->a.info.shape[1], out = l->b.info.shape[0];
    return l->base.info.rank == 2 && w[l->turned] == out &&
           w[!l->turned] == in && l->b.info.shape[1] == l->a.info.shape[0];
}

static bool set_length(Merge *m, Lora *l, const char *module)
{
    const FileTensor *t = own(m, module, ".lora_magnitude_vector");
    if (!t)
        t = own(m, module, ".lora_magnitude_vector.weight");
    if (!t)
        return !is_said(field(m, "use_dora")) ||
               bad(m, &l->a, "DoRA without lora_magnitude_vector");
    l->length = *t;
    return (!l->turned && t->info.rank == 1 && type_is_float(t->info.dtype) &&
            t->info.shape[0] == l->base.info.shape[0]) ||
           bad(m, t, "DoRA of this form is not read");
}

/* a and b of `module`, whose weight is [out, in], or turned. */
static bool adapt(Merge *m, const char *module, const FileTensor *a,
                  const FileTensor *b, bool turned)
{
    const char *name = intern_printf("%s.weight", module);
    double alpha;
    if (!is_matrix(a) || !is_matrix(b))
        return bad(m, a, "LoRA needs two matrices of floats");
    if (!target(m, name))
        return bad(m, a, "the base has no such weight");
    if (!untie(m, name) || !read_alpha(m, module, &alpha))
        return false;
    FileTensor *to = target(m, name);
    Lora *l = arena_alloc(&m->c->arena, sizeof *l);
    double rank = (double)a->info.shape[0];
    *l = (Lora){.made = {read_lora, to->info.shape[1]}, .base = *to, .a = *a,
                .b = *b, .turned = turned};
    l->scale = alpha / (is_said(field(m, "use_rslora")) ? sqrt(rank) : rank);
    if (!fits(l))
        return err_set(m->err, "%s: tensor %s does not fit %s of the base",
                       m->path, tensor_text(&a->info),
                       tensor_text(&to->info));
    if (!set_length(m, l, module))
        return false;
    to->made = &l->made;
    if (!type_is_float(to->info.dtype))
        to->info.dtype = TYPE_f32;
    return made_tensor(to) || bad(m, a, "its shape is too large");
}

static bool is_lora(const char *name)
{
    return strstr(name, ".lora_") != NULL;
}

static bool add_lora(Merge *m, const FileTensor *t)
{
    const char *module;
    const char *name = t->info.name;
    bool turned = cJSON_IsTrue(field(m, "fan_in_fan_out"));
    if ((module = before(name, ".lora_A.weight")))
        return adapt(m, module, t, own(m, module, ".lora_B.weight"), turned);
    if ((module = before(name, ".lora_embedding_A")))
        return adapt(m, module, t, own(m, module, ".lora_embedding_B"), true);
    if (((module = before(name, ".lora_B.weight")) &&
         own(m, module, ".lora_A.weight")) ||
        ((module = before(name, ".lora_embedding_B")) &&
         own(m, module, ".lora_embedding_A")) ||
        ends_with(name, ".lora_magnitude_vector") ||
        ends_with(name, ".lora_magnitude_vector.weight"))
        return true;
    return bad(m, t, "is no tensor of LoRA that graft reads");
}

/* ---- the whole ---- */

static bool is_base(const FileTensor *t, void *user)
{
    Merge *m = user;
    if (t->path != m->path)
        return true;
    static const char prefix[] = "base_model.model.";
    FileTensor one = *t;
    if (!strncmp(one.info.name, prefix, strlen(prefix)))
        one.info.name = intern(one.info.name + strlen(prefix));
    list_push(&m->arena, &m->tensor, one);
    return false;
}

static bool read_tensors(Merge *m)
{
    Checkpoint *c = m->c;
    const char *path = arena_printf(&c->arena, "%s/adapter_model.safetensors",
                                    c->adapter);
    if (!path_exists(path))
        return err_set(m->err, "%s: holds no adapter_model.safetensors%s",
                       c->adapter, weights_hint(c, c->adapter));
    if (!safetensors_shard(c, path, m->err))
        return false;
    m->path = c->map[c->maps - 1].path;
    checkpoint_keep(c, is_base, m);
    return true;
}

bool adapter_merge(Checkpoint *c, const char *embed, const char *head,
                   bool *untied, Err *err)
{
    Merge m = {.c = c, .config = c->adapter_config, .err = err,
               .embed = embed, .head = head};
    m.path = c->adapter;
    bool good = check_config(&m) && read_tensors(&m);
    for (int i = 0; good && i < m.tensor.n; i++)
        if (!is_lora(m.tensor.at[i].info.name))
            good = replace(&m, &m.tensor.at[i]);
    for (int i = 0; good && i < m.tensor.n; i++)
        if (is_lora(m.tensor.at[i].info.name))
            good = add_lora(&m, &m.tensor.at[i]);
    *untied = m.untied;
    arena_free(&m.arena);
    return good;
}
