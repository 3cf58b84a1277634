"""The hydra builder: builds nothing, but fetches what a Hydra has built, and checks it."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from builds.builders import products
from builds.builders.base import (
    BadProduct,
    BuilderUnavailable,
    BuildOutput,
    BuildRequest,
    CancelSignal,
    EvaluationFailed,
    OutOfSpace,
    Pin,
    Product,
    Progress,
    Source,
    never,
)
from builds.builders.fetch import NotThere, Web
from builds.builders.hydra_answers import (
    HydraBuild,
    Job,
    Offered,
    digest_of,
    read_build,
    read_evaluation,
    size_of,
    version_of,
)
from builds.builders.names import Meant, artifact_name
from builds.builders.watched import Watch
from builds.choices import Role, Stage
from builds.outward import Network

KEPT_FOR = 2 * 24 * 3600.0  # seconds: what is left of a download that nobody went on with
_IN_THE_MAKING, _DONE = "part-", "done-"


@dataclass(frozen=True, slots=True)
class HydraSettings:
    """Where downloads lie until they are stored, and how a Hydra may be asked.

    `networks` are inward ones in which a Hydra may be; `pin_limit` is how many seconds asking for
    the latest build may take.
    """

    downloads: Path
    networks: tuple[Network, ...] = ()
    pin_limit: float = 300


@dataclass(frozen=True, slots=True)
class HydraBuilder:
    """Takes what a Hydra has finished: a source's flake and attribute name one of its jobs."""

    settings: HydraSettings = field()

    def pin(self, source: Source, cancelled: CancelSignal = never) -> Pin:
        """Fix a job at the evaluation of its latest good build; see Builder."""
        limit = self.settings.pin_limit
        web = Web(self.settings.networks, Watch(cancelled, time_limit=limit, silence_limit=limit))
        job = Job.of(source)
        try:
            build = read_build(*web.json(job.latest_url))
        except NotThere as missing:
            raise EvaluationFailed(f"{job.latest_url}: no such job, or no good build.") from missing
        if not build.evaluations:
            raise EvaluationFailed(f"Build {build.number} belongs to no evaluation any more.")
        # The first one made it; later ones that found nothing new move nothing.
        address = f"{job.base}/eval/{min(build.evaluations)}"
        url, record = web.json(address)
        evaluation = read_evaluation(url, record, build, source.revision_input)
        return Pin(
            flake=address,
            overrides=evaluation.inputs,
            revision=evaluation.revision,
            nar_hash="",
            version=version_of(build, evaluation),
            source=address,
        )

    def version(self) -> str:
        """It is somewhere else; each build says where."""
        return ""

    def provide(self, flake: str, attribute: str, cancelled: CancelSignal = never) -> Path:
        """Refuse: nothing is built here."""
        raise EvaluationFailed(f"A Hydra builds {attribute}, but not for the portal itself.")

    def build(self, request: BuildRequest) -> BuildOutput:
        """Fetch the products of one job of the pinned evaluation; see Builder."""
        watch = Watch(request.cancelled, request.time_limit, request.silence_limit)
        web = Web(self.settings.networks, watch)
        request.log.stage(Stage.EVALUATE)
        address = f"{request.pin.flake}/job/{quote(request.attribute)}"
        request.log.line(f"Asking for {address}")
        url, record = web.json(address)
        build = read_build(url, record)
        build.refuse_unless_good(url, request.system)
        base = request.pin.flake.rpartition("/eval/")[0]
        page = f"{base}/build/{build.number}"
        request.log.line(f"It is {page}, {build.nix_name}")
        request.log.stage(Stage.BUILD)
        files, scratch = self._fetched(web, page, build, request)
        return BuildOutput(
            products=files,
            derivation=build.derivation,
            store_path=build.store_path,
            closure_size=None,  # Hydra does not tell it
            version=request.pin.version,
            kernel_version=build.kernel_version,
            kernel_params=products.kernel_params(files),
            sandboxed=None,
            builder_version=f"Hydra at {urlsplit(base).hostname}"[:100],
            source=page,
            scratch=scratch,
        )

    def _fetched(
        self, web: Web, page: str, build: HydraBuild, request: BuildRequest
    ) -> tuple[tuple[Product, ...], Path]:
        """The products in a folder of this build's own."""
        wanted = list(_wanted(build, request))
        _forget_old(self.settings.downloads)
        name = f"{urlsplit(page).hostname}-{build.number}-{request.variant}"
        folder = self.settings.downloads / f"{_IN_THE_MAKING}{name}"
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder):
            _refuse_if_short(folder, sum(size_of(product) for product, _ in wanted))
            _download(web, page, wanted, folder, request)
            # Away from the name that another download of the same build would take.
            done = folder.rename(self.settings.downloads / f"{_DONE}{uuid.uuid4().hex}")
        files = tuple(_product(product, role, request, done) for product, role in wanted)
        return files, done


def _wanted(build: HydraBuild, request: BuildRequest) -> Iterator[tuple[Offered, Role]]:
    """The products that make up the variant, before anything of them is fetched."""
    roles = []
    for product in build.products:
        role = products.ROLES.get(product.subtype) if product.type == "file" else None
        if role is not None and role in products.NEEDED[request.variant]:
            digest_of(product)
            size_of(product)
            roles.append(role)
            yield product, role
        else:
            told = f"{product.type} {product.subtype} {product.name}"
            request.log.line(f"not handed out: {told}")
    products.check_roles(request.variant, roles)


def _download(
    web: Web,
    page: str,
    wanted: list[tuple[Offered, Role]],
    folder: Path,
    request: BuildRequest,
) -> None:
    expected, before = sum(size_of(product) for product, _ in wanted), 0
    for product, _ in wanted:
        size, path = size_of(product), folder / str(product.number)
        url = f"{page}/download/{product.number}/{quote(product.name)}"
        if path.exists():
            request.log.line(f"going on with {product.name} at byte {path.stat().st_size}")
        else:
            request.log.line(f"fetching {product.name}, {size} bytes")

        def tell(count: int, before: int = before) -> None:
            done = Progress(bytes_done=before + count, bytes_expected=expected)
            request.log.progress(done)

        web.download(url, path, size, digest_of(product), tell)
        before += size
        tell(0, before)
        request.log.line(f"{product.name} has the SHA-256 that Hydra gives: {product.sha256}")


def _product(product: Offered, role: Role, request: BuildRequest, folder: Path) -> Product:
    meant = Meant(request.variant, role)
    try:
        name = artifact_name(meant, request.system, product.name)
    except ValueError as error:
        raise BadProduct(f"{error}.") from error
    path = folder / str(product.number)
    return Product(name, role, path, size_of(product), digest_of(product))


def _refuse_if_short(folder: Path, size: int) -> None:
    there = sum(path.stat().st_size for path in folder.iterdir())
    if shutil.disk_usage(folder).free + there < size:
        raise OutOfSpace(f"The worker has no room for the {size} bytes of what Hydra has built.")


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, so that two downloads of one build do not write over each other."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise BuilderUnavailable("Another worker is fetching the same build here.") from busy
        yield


def _forget_old(downloads: Path) -> None:
    if not downloads.exists():
        return
    for folder in downloads.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if folder.stat().st_mtime < time.time() - KEPT_FOR:
                shutil.rmtree(folder, ignore_errors=True)
