/** The plan `oidcc-formpost-basic-certification-test-plan`: the modules of Basic, answered by a form that posts itself. */
import { basicPlan } from '../../support/openid/basic-plan.ts'

basicPlan('form_post')
