"""An editor's side of the YAML language server (the one in VS Code's YAML extension), without a network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

ROOT = Path(__file__).parent.parent
SERVER = ROOT / ".venv/editor/node_modules/.bin/yaml-language-server"
OPTIONS = {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}
ANSWER_S = 30.0


class Editor:
    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._told: dict[str, asyncio.Future[list[lsp.Diagnostic]]] = {}
        self._files = 0

        def configuration(params: lsp.ConfigurationParams) -> list[Any]:
            return [OPTIONS if item.section == "yaml" else None for item in params.items]

        def told(params: lsp.PublishDiagnosticsParams) -> None:
            if not (answer := self._told[params.uri]).done():
                answer.set_result(list(params.diagnostics))

        client.feature(lsp.WORKSPACE_CONFIGURATION)(configuration)
        client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(told)

    async def proposals(self, text: str) -> dict[str, str]:
        """What is proposed where `|` stands, and what would be written for it, with the cursor's stops left out."""
        before, _, after = text.partition("|")
        uri, _ = await self._open(before + after)
        place = lsp.Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
        found = await self._client.text_document_completion_async(
            lsp.CompletionParams(lsp.TextDocumentIdentifier(uri), place)
        )
        items = found.items if isinstance(found, lsp.CompletionList) else found or []
        return {
            item.label: re.sub(r"\$\{?\d+:?([^}\n]*)\}?", r"\1", item.insert_text or "") for item in items
        }

    async def underlined(self, text: str) -> list[str]:
        """`line:column: message` of what is underlined in red."""
        _, told = await self._open(text)
        return [f"{d.range.start.line + 1}:{d.range.start.character + 1}: {d.message}" for d in told]

    async def _open(self, text: str) -> tuple[str, list[lsp.Diagnostic]]:
        self._files += 1
        uri = (self._folder / f"{self._files}.yaml").as_uri()
        self._told[uri] = asyncio.get_running_loop().create_future()
        self._client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "yaml", 1, text))
        )
        return uri, await asyncio.wait_for(self._told[uri], ANSWER_S)


@contextlib.asynccontextmanager
async def an_editor(folder: Path) -> AsyncIterator[Editor]:
    """Files are opened as if they lay in `folder`. As root in a network namespace of its own, where nothing answers."""
    client = LanguageClient("editor", "1")
    editor = Editor(client, folder)
    alone = ["unshare", "--net"] if os.geteuid() == 0 and shutil.which("unshare") else []
    await client.start_io(*alone, str(SERVER), "--stdio")
    try:
        snippets = lsp.ClientCompletionItemOptions(snippet_support=True)
        await client.initialize_async(
            lsp.InitializeParams(
                capabilities=lsp.ClientCapabilities(
                    workspace=lsp.WorkspaceClientCapabilities(configuration=True),
                    text_document=lsp.TextDocumentClientCapabilities(
                        completion=lsp.CompletionClientCapabilities(completion_item=snippets)
                    ),
                ),
                root_uri=folder.as_uri(),
            )
        )
        client.initialized(lsp.InitializedParams())
        yield editor
        await client.shutdown_async(None)
        client.exit(None)
    finally:
        await client.stop()
