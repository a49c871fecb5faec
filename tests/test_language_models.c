/* Models and transforms as the language's document states them: config
 * fields, names of tensors, places of matches, values of weights. */
#include "compiler/lang/lang.h"
#include "tests/language_kit.h"

static const char text[] =
    "module net(D, F) {\n"
    "  weight gate[F, D] as \"gate.weight\", down[D, F]\n"
    "  forward(x[.., D]) -> [.., D] { return silu(x @ gate) @ down }\n}\n"
    "module wide(D, H, hd) {\n"
    "  weight q[H, hd, D]\n"
    "  forward(x[.., D]) -> [.., D] { y = x @ q\n"
    "    return x * sum(y, H, hd) }\n}\n"
    "module block(D, F, H) {\n"
    "  ffn: net(D, F) as \"mlp\"\n"
    "  wide: wide(D, H, 3)\n"
    "  forward(x[T, D]) -> [T, D] { return x + ffn(x) + wide(x) }\n}\n"
    "module moe(D, F, E, K) {\n"
    "  weight router[E, D]\n"
    "  expert[E]: net(D, F) as \"experts.{}\" { gate as \"w1\" }\n"
    "  forward(x[T, D]) -> [T, D] {\n"
    "    v, i = topk(x @ router, k: K)\n"
    "    stat use = sum(count(i, E), T)\n"
    "    return sum(softmax(v, k) * expert[i](x), k)\n  }\n}\n"
    "model tiny {\n"
    "  config \"TinyForCausalLM\", \"TinyLM\" {\n"
    "    V     = vocab_size\n"
    "    D     = hidden_size\n"
    "    F     = ffn_size else 2 * D\n"
    "    L     = num_layers else 2\n"
    "    theta = rope_theta else rope.theta else 10000\n"
    "    tied  = tie else false\n"
    "    act   = act else \"silu\"\n"
    "    require act == \"silu\", \"silu is meant; the config says {act}\"\n"
    "  }\n"
    "  weight embed[V, D] as \"embed.weight\"\n"
    "  layer[L]: block(D, F, 2) as \"layers.{}\"\n"
    "  weight head[V, D] as \"head.weight\" unless tied\n"
    "  forward(token[T]: V) -> [T, V] {\n"
    "    x = embed[V: token]\n"
    "    for l in L { x = layer[l](x) }\n"
    "    return x @ (tied ? embed : head)\n  }\n}\n"
    "transform up(E = 3, K = 2, std = 0.02) {\n"
    "  match ffn: net(D, F)\n"
    "  require K <= E, \"K is {K}, at most {E}\"\n"
    "  replace with moe(D, F, E, K) { expert = ffn; router = normal(0, std) }\n"
    "  config { experts = E; sizes = [E, K]; kind = \"moe\" }\n}\n"
    "transform second(E = 3) {\n"
    "  match ffn: net(D, F) in layer[l] where l % 2 == 1 and D > 1\n"
    "  replace with moe(D, F, E, 1) as \"sparse\" {\n"
    "    expert.gate = ffn.gate; expert.down = zeros; router = ones\n  }\n}\n"
    "transform down_again() {\n"
    "  match m: moe(D, F) or net(D, F)\n"
    "  each m.w = w\n}\n"
    "transform back() {\n"
    "  match m: moe(D, F, E)\n"
    "  replace with net(D, F) { each w = sum(m.expert.w, E) / E }\n}\n"
    "transform halve() { each w = w / 2 }\n"
    "transform rest(E = 2) {\n"
    "  match ffn: net(D, F)\n"
    "  replace with moe(D, F, E, 1) { expert = ffn; router = zeros }\n"
    "  each w = 2 * w\n}\n"
    "transform add(other: model[N]) { each w = w + sum(other.w, N) }\n"
    "transform learned() {\n"
    "  match ffn: net(D, F)\n"
    "  learn by[F] = 1, at[] = 0\n"
    "  ffn.gate = ffn.gate * by + at\n  preserves\n}\n";

typedef struct {
    Arena arena;
    Diags diags;
    cJSON *config;
    Spec *spec;
    Model *m;
    Err err;
} Lab;

static Lab *lab(const char *config)
{
    Lab *l = xmalloc(sizeof *l);
    memset(l, 0, sizeof *l);
    l->diags.quiet = true;
    l->config = cJSON_Parse(config);
    assert_non_null(l->config);
    l->spec = spec_new(&l->arena, &l->diags);
    assert_true(spec_text(l->spec, "tiny", text));
    l->m = model_bind(&l->arena, &l->diags, l->config, text, TYPE_f32,
                      &l->err);
    return l;
}

static void done(Lab *l)
{
    cJSON_Delete(l->config);
    arena_free(&l->arena);
    diags_free(&l->diags);
    free(l);
}

#define CONFIG(more) \
    "{\"architectures\": [\"TinyLM\"], \"vocab_size\": 5, " \
    "\"hidden_size\": 4" more "}"

static const char *param(const Lab *l, const char *name)
{
    Val *v = names_find(&l->m->root->param, name);
    assert_non_null(v);
    return val_text(v);
}

static void config_fields(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(""));
    assert_non_null(l->m);
    assert_string_equal(param(l, "F"), "8");
    assert_string_equal(param(l, "L"), "2");
    assert_string_equal(param(l, "theta"), "10000");
    assert_string_equal(param(l, "tied"), "false");
    done(l);
    l = lab(CONFIG(", \"ffn_size\": null, \"rope\": {\"theta\": 7}, "
                   "\"tie\": true, \"num_layers\": 3"));
    assert_string_equal(param(l, "F"), "8"); /* null counts as absent */
    assert_string_equal(param(l, "theta"), "7"); /* dotted */
    assert_string_equal(param(l, "L"), "3");
    assert_string_equal(param(l, "tied"), "true");
    done(l);
    l = lab(CONFIG(", \"rope_theta\": 5, \"rope\": {\"theta\": 7}"));
    assert_string_equal(param(l, "theta"), "5"); /* the first there is */
    done(l);
}

static void refused(const char *config, const char *says)
{
    Lab *l = lab(config);
    assert_null(l->m);
    if (!strstr(l->err.text, says))
        fail_msg("%s, not %s", l->err.text, says);
    done(l);
}

static void config_mistakes(void **state)
{
    (void)state;
    refused("{\"architectures\": [\"TinyLM\"], \"vocab_size\": 5}",
            "no field `hidden_size`");
    refused(CONFIG(", \"act\": \"gelu\""),
            "silu is meant; the config says \"gelu\"");
    refused("{\"vocab_size\": 5}", "no `architectures`");
    refused("{\"architectures\": [\"Other\"]}",
            "no model text reads the architecture \"Other\"");
}

static const Weight *weight(const Model *m, const char *path)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    for (int i = 0; i < n; i++)
        if (!strcmp(w[i]->path, path))
            return w[i];
    return NULL;
}

static void file_is(const Model *m, const char *path, const char *file)
{
    const Weight *w = weight(m, path);
    if (!w)
        fail_msg("no weight %s", path);
    assert_string_equal(w->file, file);
}

static void names_in_files(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(""));
    file_is(l->m, "embed", "embed.weight");
    file_is(l->m, "head", "head.weight");
    file_is(l->m, "layer[1].ffn.gate", "layers.1.mlp.gate.weight");
    file_is(l->m, "layer[1].ffn.down", "layers.1.mlp.down"); /* its own */
    file_is(l->m, "layer[0].wide.q", "layers.0.wide.q");
    done(l);
    l = lab(CONFIG(", \"tie\": true"));
    assert_null(weight(l->m, "head")); /* unless tied */
    done(l);
}

static Model *apply(Lab *l, Model *m, const char *name, int narg,
                    const Arg *arg, int nwith)
{
    With with[4];
    for (int i = 0; i < 4; i++)
        with[i] = (With){intern("other"), l->m};
    Model *to = model_transform(l->spec, m, name, arg, narg, with, nwith,
                                &l->err);
    if (!to) {
        for (int i = 0; i < l->diags.said.n; i++)
            print_error("%s\n", l->diags.said.at[i].text);
        fail_msg("%s", l->err.text);
    }
    return to;
}

static void names_of_replacements(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(""));
    Model *m = apply(l, l->m, "up", 0, NULL, 0);
    file_is(m, "layer[0].ffn.router", "layers.0.mlp.router");
    file_is(m, "layer[0].ffn.expert.gate", "layers.0.mlp.experts.{}.w1");
    file_is(m, "layer[0].ffn.expert.down", "layers.0.mlp.experts.{}.down");
    int64_t at[1] = {2};
    assert_string_equal(
        weight_tensor(weight(m, "layer[0].ffn.expert.gate"), at),
        "layers.0.mlp.experts.2.w1");
    m = apply(l, l->m, "second", 0, NULL, 0);
    file_is(m, "layer[1].ffn.router", "layers.1.sparse.router");
    file_is(m, "layer[0].ffn.gate", "layers.0.mlp.gate.weight");
    done(l);
}

/* ---- tensors of files ---- */

static TensorInfo info(const char *name, int rank, int a, int b)
{
    return (TensorInfo){.name = name, .dtype = TYPE_f32, .rank = rank,
                        .shape = {a, b}, .bytes = 4 * a * (rank > 1 ? b : 1)};
}

static void tensors(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(", \"num_layers\": 1"));
    TensorInfo t[8] = {
        info("embed.weight", 2, 5, 4), info("head.weight", 2, 5, 4),
        info("layers.0.mlp.gate.weight", 2, 8, 4),
        info("layers.0.mlp.down", 2, 4, 8),
        info("layers.0.wide.q", 2, 6, 4), /* [2, 3, 4] flattens to it */
        info("layers.0.self_attn.rotary_emb.inv_freq", 1, 8, 0)};
    if (!model_check_tensors(l->m, t, 6, &l->err))
        fail_msg("%s", l->err.text);
    t[6] = info("layers.0.mlp.bias", 1, 8, 0);
    assert_false(model_check_tensors(l->m, t, 7, &l->err));
    assert_non_null(strstr(l->err.text, "no weight of the model reads tensor "
                                        "layers.0.mlp.bias"));
    assert_false(model_check_tensors(l->m, t + 1, 5, &l->err));
    assert_non_null(strstr(l->err.text, "no tensor embed.weight, which "
                                        "`embed` reads"));
    t[3].shape[0] = 8;
    assert_false(model_check_tensors(l->m, t, 6, &l->err));
    assert_non_null(strstr(l->err.text, "layers.0.mlp.down"));
    done(l);
}

/* ---- values ---- */

static Tensor *value(Lab *l, const Model *m, const char *path)
{
    const Weight *w = weight(m, path);
    if (!w)
        fail_msg("no weight %s", path);
    Text t = {.arena = {0}, .m = (Model *)m, .g = m->weights};
    Node leaf = {.op = OP_weight, .type = w->type, .weight = w};
    Tensor *out = text_run(&t, w->value ? w->value
                                        : graph_add(m->weights, leaf), false);
    Tensor *copy = arena_alloc(&l->arena, sizeof *copy);
    *copy = *out;
    copy->at = arena_alloc(&l->arena, (size_t)out->count * sizeof *copy->at);
    memcpy(copy->at, out->at, (size_t)out->count * sizeof *copy->at);
    arena_free(&t.arena);
    return copy;
}

static bool equal(const Tensor *a, const Tensor *b, double by)
{
    for (int64_t i = 0; i < a->count; i++)
        if (a->at[i] != by * b->at[i % b->count])
            return false;
    return true;
}

static void copies_and_draws(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(""));
    Model *m = apply(l, l->m, "up", 0, NULL, 0);
    Tensor *gate = value(l, l->m, "layer[0].ffn.gate");
    Tensor *all = value(l, m, "layer[0].ffn.expert.gate");
    assert_int_equal(all->count, 3 * gate->count);
    assert_true(equal(all, gate, 1)); /* repeated for each expert */
    Tensor *r0 = value(l, m, "layer[0].ffn.router"),
           *r1 = value(l, m, "layer[1].ffn.router");
    assert_false(equal(r0, r1, 1)); /* seeded by the weight's name */
    m = apply(l, l->m, "up", 0, NULL, 0);
    assert_true(equal(value(l, m, "layer[0].ffn.router"), r0, 1));
    Arg arg = {"std", "0.04"};
    m = apply(l, l->m, "up", 1, &arg, 0);
    assert_true(equal(value(l, m, "layer[0].ffn.router"), r0, 2));
    done(l);
}

static void places(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(", \"num_layers\": 4"));
    Model *m = apply(l, l->m, "second", 0, NULL, 0);
    for (int i = 0; i < 4; i++) {
        const Inst *ffn = inst_at(m->root, intern_printf("layer[%d].ffn", i));
        assert_string_equal(ffn->def->text, i % 2 ? "moe" : "net");
    }
    Tensor *zero = value(l, m, "layer[1].ffn.expert.down");
    Tensor *one = value(l, m, "layer[1].ffn.router");
    for (int64_t i = 0; i < zero->count; i++)
        assert_true(zero->at[i] == 0);
    assert_true(one->at[0] == 1);
    m = apply(l, m, "down_again", 0, NULL, 0); /* either of two types */
    m = apply(l, m, "back", 0, NULL, 0); /* a pattern with fewer names */
    assert_string_equal(inst_at(m->root, "layer[1].ffn")->def->text, "net");
    done(l);
}

static void in_place(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(""));
    Model *m = apply(l, l->m, "halve", 0, NULL, 0);
    assert_true(equal(value(l, m, "embed"), value(l, l->m, "embed"), 0.5));
    assert_true(equal(value(l, m, "layer[1].ffn.down"),
                      value(l, l->m, "layer[1].ffn.down"), 0.5));
    m = apply(l, l->m, "rest", 0, NULL, 0); /* all that is not replaced */
    assert_true(equal(value(l, m, "embed"), value(l, l->m, "embed"), 2));
    assert_true(equal(value(l, m, "layer[1].ffn.expert.down"),
                      value(l, l->m, "layer[1].ffn.down"), 1));
    m = apply(l, l->m, "learned", 0, NULL, 0); /* as it starts */
    assert_non_null(weight(m, "layer[0].ffn.gate")->value);
    done(l);
}

static void unmatched(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(""));
    Model *m = apply(l, l->m, "up", 0, NULL, 0);
    assert_true(equal(value(l, m, "embed"), value(l, l->m, "embed"), 1));
    assert_null(weight(m, "embed")->value); /* copied, not computed */
    Err err;
    assert_null(model_transform(l->spec, l->m, "back", NULL, 0, NULL, 0,
                                &err));
    assert_non_null(strstr(err.text, "no module of the model matches `moe`"));
    Arg arg = {"K", "4"};
    assert_null(model_transform(l->spec, l->m, "up", &arg, 1, NULL, 0, &err));
    assert_string_equal(l->diags.said.at[0].text, "K is 4, at most 3");
    arg.name = "k";
    assert_null(model_transform(l->spec, l->m, "up", &arg, 1, NULL, 0, &err));
    assert_non_null(strstr(err.text, "has no parameter `k`"));
    assert_null(model_transform(l->spec, l->m, "add", NULL, 0, NULL, 0, &err));
    assert_non_null(strstr(err.text, "--with other=MODEL"));
    done(l);
}

static void other_models(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(""));
    Model *m = apply(l, l->m, "add", 0, NULL, 2);
    const Weight *w = weight(m, "layer[1].ffn.gate");
    assert_non_null(w->value);
    Tensor *own = value(l, l->m, "layer[1].ffn.gate"),
           *sum = value(l, m, "layer[1].ffn.gate");
    double both[64];
    Type pair = w->type;
    pair.rank = 1;
    pair.dim[0] = dim_new("N", size_num(64));
    some("other.layer[1].ffn.gate", &pair, 0, both);
    for (int i = 0; i < 32; i++)
        assert_true(sum->at[i] == own->at[i] + both[i] + both[32 + i]);
    done(l);
}

/* Models bound apart have dims of their own; those of one shape are ours. */
static void models_bound_apart(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG("")), *same = lab(CONFIG("")),
        *wide = lab(CONFIG(", \"ffn_size\": 9"));
    With with[2] = {{intern("other"), same->m}, {intern("other"), same->m}};
    Err err = {""};
    Model *m = model_transform(l->spec, l->m, "add", NULL, 0, with, 2, &err);
    assert_non_null(m);
    assert_non_null(value(l, m, "layer[1].ffn.gate"));
    with[1].model = wide->m;
    assert_null(model_transform(l->spec, l->m, "add", NULL, 0, with, 2, &err));
    assert_string_equal(err.text,
                        "the models given as `other` must have one shape: "
                        "layer[0].ffn.gate of the first is [8, 4], of number "
                        "2 it is [9, 4]");
    done(l);
    done(same);
    done(wide);
}

/* ---- config { } ---- */

static cJSON *written_config(const Model *m)
{
    Written w;
    Err err;
    if (!model_write(m, &w, &err))
        fail_msg("%s", err.text);
    free(w.text);
    return w.config;
}

static void fields_come_and_go(void **state)
{
    (void)state;
    Lab *l = lab(CONFIG(", \"note\": \"kept\""));
    Model *m = apply(l, l->m, "up", 0, NULL, 0);
    cJSON *c = written_config(m);
    assert_int_equal(cJSON_GetObjectItem(c, "experts")->valueint, 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(c, "sizes")), 2);
    assert_string_equal(cJSON_GetObjectItem(c, "kind")->valuestring, "moe");
    assert_string_equal(cJSON_GetObjectItem(c, "note")->valuestring, "kept");
    assert_int_equal(cJSON_GetObjectItem(c, "num_layers")->valueint, 2);
    assert_non_null(cJSON_GetObjectItem(c, "graft"));
    cJSON_Delete(c);
    m = apply(l, m, "back", 0, NULL, 0);
    c = written_config(m);
    assert_null(cJSON_GetObjectItem(c, "experts")); /* its module is gone */
    assert_null(cJSON_GetObjectItem(c, "graft"));
    cJSON_Delete(c);
    done(l);
}

static void recipes(void **state)
{
    (void)state;
    char *all = NULL;
    size_t len;
    FILE *f = open_memstream(&all, &len);
    fprintf(f, "%s"
            "recipe r(base, data, out, rounds = 3) {\n"
            "  sample = text(data, length: 64)\n"
            "  first  = load(base)\n"
            "  list   = [first, load(base)]\n"
            "  sum    = add(first, other: list)\n"
            "  moe    = up(sum, E: 4, K: 2)\n"
            "  for n in rounds {\n"
            "    train moe.router, moe.expert on sample {\n"
            "      batch 4, epochs 1, lr 1e-4 cosine, warmup 2, clip 1\n"
            "      optimizer adamw, decay 0.1, seed 3, weights f32\n"
            "      after step halve()\n"
            "    }\n"
            "  }\n"
            "  for one in list { train one on sample { batch 1, steps 2 } }\n"
            "  observe moe on sample\n"
            "  save back(moe) to out\n"
            "}\n", text);
    fclose(f);
    fine(all);
    free(all);
}

/* Each kind has names of its own; a file may hold any of them. */
static void kinds(void **state)
{
    (void)state;
    fine("use llama\nuse llama\n"
         "module same(D) {\n  forward(x[.., D]) -> [.., D] { return x }\n}\n"
         "transform same() {\n  match m: same(D)\n"
         "  replace with same(D) { each w = m.w }\n  preserves\n}\n"
         "recipe same(base, out) { save load(base) to out }\n"
         "prove m == m for m: llama\n");
    fine(text);
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(config_fields), TEST(config_mistakes), TEST(names_in_files),
        TEST(names_of_replacements), TEST(tensors), TEST(copies_and_draws),
        TEST(places), TEST(in_place), TEST(unmatched), TEST(other_models),
        TEST(models_bound_apart),
        TEST(fields_come_and_go), TEST(recipes), TEST(kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
