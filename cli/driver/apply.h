/* How apply makes a new model's tensors: plan.c says which there are, values.c
 * what is in them. */
#pragma once
#include "cli/driver/loaded.h"

/* The models that weights are read from: the first is the one transformed,
 * the others have its shape. */
typedef struct {
    Loaded *at;
    int n;
    const ArgList *with; /* names of the others, from at[1] on */
    const Weight *const *weight; /* of the first, as the text has them */
    const Weight **sorted;       /* the same by pointer */
    int nweight;
    /* Values that stand in for those of w's file or of its start (what was
     * trained), row-major, of *type; NULL: none. May be NULL. */
    const void *(*given)(void *user, const Weight *w, Dtype *type);
    void *user;
    bool exact; /* formulas in f64 */
} Sources;
/* What stands in for w, or NULL. */
const void *sources_given(const Sources *s, const Weight *w, Dtype *type);
void sources_index(Sources *s); /* after the first is opened */
void sources_close(Sources *s);
/* The tensor of w at `index`, which counts its stacked dims row-major; NULL: w
 * is of none of the models. A weight of several others is stacked over them. */
const FileTensor *sources_tensor(const Sources *s, const Weight *w,
                                 int64_t index);

/* One weight of the new model: as many tensors as its stacked dims have. */
typedef struct {
    const Weight *weight;
    int first, count; /* in FilePlan.tensor */
    Dtype dtype;
} Planned;

typedef struct {
    LIST(Planned) weight;
    LIST(TensorInfo) tensor; /* in the order of writing */
    int64_t bytes;
    /* what is in the files: a tensor each, or of parts one that is written with
     * the last of them */
    LIST(TensorInfo) whole;
    struct PlannedPart {
        TensorPart part;
        int whole; /* -1 where the tensor is no part */
        bool last;
    } *part; /* one for each tensor */
    char **held; /* by whole: bytes so far, or NULL */
} FilePlan;
/* Puts weights that are parts together (parts_write.c). */
void file_plan_join(FilePlan *p, Arena *a, const Sources *s);
/* Tensor k's bytes, of which there are all. */
bool file_plan_put(const FilePlan *p, Writer *w, int k, const void *data,
                   Err *err);
void file_plan_free(FilePlan *p);
/* forced: the type of every tensor, where has_forced. */
void file_plan_make(FilePlan *p, Arena *a, const Sources *s, const Model *made,
               const Common *common);

/* The tensor that one of w's is a copy of, or NULL: it must be computed. */
const FileTensor *copied_from(const Sources *s, const Weight *w,
                              int64_t index);

/* Computes weights; programs are kept, as most layers' formulas are alike. */
typedef struct Values Values;
Values *values_new(Sources *s, int threads);
void values_free(Values *v);
/* All of w, stacked dims too, as dtype. */
bool values_compute(Values *v, const Weight *w, Dtype dtype, void *out,
                    Err *err);

/* Is all finite that w's formula reads? */
bool values_inputs_finite(Values *v, const Weight *w);

/* Writes the weights of the plan in its order (put.c). False with err set: also
 * where one turns NaN or infinite that is made of finite ones. */
bool weights_put(Sources *s, const FilePlan *plan, const Common *common,
                 Writer *w, Err *err);

/* ---- where it goes (output.c) ---- */

/* What is written: a Hugging Face folder, or a GGUF file where the path ends
 * so. The fields up to `metas` are the caller's; all must live until the end of
 * writing. */
typedef struct {
    const char *path;
    const Checkpoint *source; /* its tokenizer and other files come along */
    const Model *made;
    const FilePlan *plan;
    const Common *common; /* the type of matrices in a GGUF file */
    bool strict; /* no GGUF file that llama.cpp would compute otherwise */
    const char *(*meta)[2];
    int metas;
    const char *learned; /* the text of learned.json, or NULL */
    struct OutputParts *parts;
} Output;

bool output_is_gguf(const char *path);
/* Ready for the plan's tensors; NULL with err set. output_free in any case. */
Writer *output_begin(Output *o, Err *err);
void output_free(Output *o);
