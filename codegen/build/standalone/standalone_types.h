/* What the tables below are made of. */
typedef void gr_Kernel(void *const *arg, const int64_t *run, int64_t task,
                       void *mem);
typedef int64_t gr_Tasks(void *const *arg, const int64_t *run);

/* Where an argument lies: byte `at` of a block of memory, or of a column. */
typedef enum { AT_value, AT_weight, AT_cache, AT_angle, AT_in, AT_out,
               AT_pos } gr_Place;
typedef struct {
    gr_Place place;
    int column;
    int64_t at;
} gr_Arg;

typedef struct {
    gr_Kernel *kernel;
    gr_Tasks *tasks;
    int first, args; /* in `gr_args` */
    int joined;      /* does not wait for the step before */
} gr_Step;

/* A dim of a packed weight: its size, and the elements between neighbours in
 * the tensor given; of a stacked dim the place that is in this tensor, else
 * -1. */
typedef struct {
    int64_t size, stride, fixed;
} gr_PackDim;

/* A tensor goes to `to` in the weights' memory: as it is, or packed as
 * [B..][N / cols][K / pair][part < parts][cols][pair], K filled up to a
 * multiple of 32. */
typedef struct {
    int weight;
    int64_t to;
    int packed, nb, nn, nk, first; /* dims B, N, K from gr_pack_dims[first] */
    int cols, pair, parts, part;
} gr_WeightUse;

/* A table of pointers to the tensors of a stack. */
typedef struct {
    int64_t table, data, bytes, count;
} gr_Stack;

typedef struct {
    int half, first; /* frequencies from gr_angle_freq[first] on */
    double scale;
    int64_t to;
} gr_Angles;

/* A column of indices: how many a token has, and what they must be below. */
typedef struct {
    int column;
    int64_t fixed, per_token, below;
} gr_IndexColumn;

/* A size that depends on the tokens: run[place] is of[T]. */
typedef struct {
    int place;
    const int64_t *of;
} gr_RunSize;
