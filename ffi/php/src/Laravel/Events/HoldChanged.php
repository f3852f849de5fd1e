<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A hold has another quantity. */
final class HoldChanged extends Message
{
}
