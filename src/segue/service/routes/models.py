"""/v1/models: which models there are, and which of them answer."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field, model_validator

from segue.errors import ArtefactError
from segue.service.deadline import in_time
from segue.service.deployment.activation import StaleVersionError
from segue.service.deployment.model_list import ModelList, list_models
from segue.service.http.json_body import JsonRoute
from segue.service.http.openapi import needs, responses
from segue.service.models.deployments import Arm, Arms, ModelName, Shadow, Split
from segue.service.routes.dependencies import get_service
from segue.service.service import Service
from segue.service.users.history_import import NotImportedError

router = APIRouter(tags=["models"], route_class=JsonRoute)


class NewSplit(BaseModel):
    """Which models answer: one, or several that share the users."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName | None = Field(default=None, description="The model that answers everybody.", examples=["hgn"])
    arms: Arms | None = None
    shadow: Shadow = ()
    salt: str = Field(default="", max_length=100, description="Another salt puts the users into the arms anew.")
    import_events: bool | None = Field(
        default=None,
        alias="import",
        strict=True,
        description=(
            "Whether the events of the models' logs are copied into the store, where they stay for ever. By default, "
            "if the store has most of them already, or no other events; else the answer is 409. The store remembers "
            "`false` for these logs. Those of models in shadow never are copied."
        ),
    )
    version: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=2**63 - 1,
        description=(
            "The `version` of the list of models that you have seen. If another choice was activated since, the answer "
            "is 409, and that one goes on. By default nothing is compared."
        ),
        examples=[7],
    )

    @model_validator(mode="after")
    def _needs_one_answer(self) -> NewSplit:
        if (self.model is None) == (self.arms is None):
            raise ValueError("give either a model or arms")
        return self

    def to_split(self) -> Split:
        """The split of the service."""
        arms = self.arms or (Arm(model=self.model or ""),)
        return Split(arms=arms, shadow=self.shadow, salt=self.salt)


class Activated(ModelList):
    """The models of a service after an activation."""

    imported: int = Field(description="Number of events that were copied from the logs of the models into the store.")
    skipped: int = Field(
        description="Number of events of these logs that were left out, since other events in the store have their ids."
    )


class ModelFolder(BaseModel):
    """A folder of the service."""

    model_config = ConfigDict(extra="forbid")

    folder: ModelName = Field(
        description="Name of a folder in the folder that was given to `segue serve`.", examples=["hgn.previous"]
    )


@router.get("/models", summary="List the models", openapi_extra=needs("read"))
async def models(service: Annotated[Service, Depends(get_service)]) -> ModelList:
    """All saved models where the models of this service are: what they are, what they reached, which of them answer."""
    return await _listed(service)


@router.post(
    "/models/activate", summary="Choose the models that answer", responses=responses(409), openapi_extra=needs("admin")
)
async def activate(body: NewSplit, service: Annotated[Service, Depends(get_service)]) -> Activated:
    """Let one model answer everybody, or several share the users; a user stays in an arm.

    A model that is not in memory, or whose folder was replaced, is verified, loaded and tried first. If that fails,
    the answer is 409 with the reason, and the models that answered before go on. Requests that are under way are
    answered by the model that they began with. Other services of the store follow within a second or two.

    A model of another log than the one that the store has is refused with 409, until `import` says whether the events
    of its log are copied. Events with times to come never are: 409, too. With a `version` that is not the newest, the
    answer is 409 as well: list the models again.
    """
    split = body.to_split()
    try:
        imported = await service.activation.activate(split, import_events=body.import_events, seen=body.version)
    except StaleVersionError as error:
        raise HTTPException(409, f"not activated: {error}") from error
    except (ArtefactError, NotImportedError) as error:
        raise HTTPException(409, f"not activated, the models that answered before go on: {error}") from error
    listed = await _listed(service)
    return Activated(**dict(listed), imported=imported.events, skipped=imported.skipped)


@router.post(
    "/models/load",
    summary="Load a model without letting it answer",
    responses=responses(409),
    openapi_extra=needs("admin"),
)
async def load(body: ModelFolder, service: Annotated[Service, Depends(get_service)]) -> ModelList:
    """Verify and load the model of a folder, so that requests can name it. It answers nobody who does not name it."""
    try:
        await service.activation.load(body.folder)
    except ArtefactError as error:
        raise HTTPException(409, f"not loaded: {error}") from error
    return await _listed(service)


async def _listed(service: Service) -> ModelList:
    found = asyncio.to_thread(
        list_models,
        service.deployment,
        service.folders,
        problem=service.activation.problem,
        not_erased=service.erasures.failed,
    )
    return await in_time(found)  # a store that hangs keeps threads
