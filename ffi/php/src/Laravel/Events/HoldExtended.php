<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A hold has a later end. */
final class HoldExtended extends Message
{
}
