/** The plan `oidcc-basic-certification-test-plan`: response_type code, dynamic registration. */
import { basicPlan } from '../../support/openid/basic-plan.ts'

basicPlan('default')
