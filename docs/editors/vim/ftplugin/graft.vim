" Comments, indentation, :make, gq and the language server for .graft files.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1

setlocal commentstring=#\ %s comments=:#
setlocal expandtab shiftwidth=2 softtabstop=2
setlocal makeprg=graft\ check\ %:S
setlocal errorformat=%f:%l:%c:\ %trror:\ %m,%f:%l:%c:\ %tarning:\ %m,
setlocal errorformat+=%f:%l:%c:\ %tote:\ %m,%-G%.%#
setlocal formatprg=graft\ fmt\ -

" The language server: Neovim has a client, Vim one by the plugin vim-lsp.
if executable('graft')
  if has('nvim-0.8')
    lua vim.lsp.start({name = 'graft', cmd = {'graft', 'lsp'},
          \ root_dir = vim.fs.dirname(vim.api.nvim_buf_get_name(0))})
  elseif exists('*lsp#register_server') && !exists('g:graft_lsp')
    let g:graft_lsp = 1
    call lsp#register_server({'name': 'graft', 'allowlist': ['graft'],
          \ 'cmd': {server_info -> ['graft', 'lsp']}})
  endif
endif

let b:undo_ftplugin = "setlocal commentstring< comments< expandtab< "
      \ . "shiftwidth< softtabstop< makeprg< errorformat< formatprg<"
